# Warnings of our own code: all of them errors. Third-party headers come as SYSTEM.
add_library(isnet_warnings INTERFACE)
target_compile_options(isnet_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow=local -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual)
if(ISNET_WARNINGS_AS_ERRORS)
  target_compile_options(isnet_warnings INTERFACE -Werror)
endif()
