// What a plug-in (--plugin FILE) includes once, in one of its source files:
//
//     #include "base/plugin.h"
//     ISNET_PLUGIN()
//
// It exports a stamp that says which isnet, torch and C++ ABI it was built against. A plug-in with another
// stamp is refused, before any of its code runs: its strategies would be objects of another layout.
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

/// Stands before the stamp inside the file, so that it can be read without running the file.
#define ISNET_PLUGIN_MARKER "isnet-plugin-abi:"

/// Exports `const char* isnet_plugin_abi()`.
#define ISNET_PLUGIN()                                                               \
  extern "C" __attribute__((visibility("default"))) const char* isnet_plugin_abi() { \
    static const char stamp[] = ISNET_PLUGIN_MARKER ISNET_PLUGIN_ABI;                \
    return stamp + sizeof(ISNET_PLUGIN_MARKER) - 1;                                  \
  }
