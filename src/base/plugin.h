// What a plug-in (--plugin FILE) includes once, in one of its source files:
//
//     #include "base/plugin.h"
//     ISNET_PLUGIN()
//
// It puts a stamp into the file, in a note section, that says which isnet, torch and C++ ABI the plug-in was
// built against. The program reads it from the file: a plug-in with another stamp, or without one, is refused
// before any of its code runs. Its strategies would be objects of another layout.
#pragma once

#include <torch/version.h>

#include <string>  // defines _GLIBCXX_USE_CXX11_ABI

#include "base/version.h"

#define ISNET_PLUGIN_TEXT_OF(x) #x
#define ISNET_PLUGIN_TEXT(x) ISNET_PLUGIN_TEXT_OF(x)

#ifdef _GLIBCXX_USE_CXX11_ABI
#define ISNET_PLUGIN_STRINGS ISNET_PLUGIN_TEXT(_GLIBCXX_USE_CXX11_ABI)
#else
#define ISNET_PLUGIN_STRINGS "other"
#endif

/// The stamp: equal where plug-in and program may share objects.
#define ISNET_PLUGIN_ABI                          \
  "isnet " ISNET_VERSION ", torch " TORCH_VERSION \
  ", C++ ABI " ISNET_PLUGIN_TEXT(__GXX_ABI_VERSION) "." ISNET_PLUGIN_STRINGS

/// The note (elf(5), "Notes"): its section, the owner's name and the type.
#define ISNET_PLUGIN_SECTION ".note.isnet"
#define ISNET_PLUGIN_OWNER "isnet"
#define ISNET_PLUGIN_NOTE_TYPE 1

/// Puts the stamp into the file. Lengths count the zeros at the ends of the texts.
#define ISNET_PLUGIN() \
  __asm__(".pushsection " ISNET_PLUGIN_SECTION ", \"a\", %note\n" \
          ".balign 4\n"                                           \
          ".long 2f - 1f\n"                                       \
          ".long 4f - 3f\n"                                       \
          ".long " ISNET_PLUGIN_TEXT(ISNET_PLUGIN_NOTE_TYPE) "\n" \
          "1: .asciz \"" ISNET_PLUGIN_OWNER "\"\n"                \
          "2: .balign 4\n"                                        \
          "3: .asciz \"" ISNET_PLUGIN_ABI "\"\n"                  \
          "4: .balign 4\n"                                        \
          ".popsection");
