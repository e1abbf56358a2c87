# Warnings of our own code: all of them errors. Third-party headers come as SYSTEM.
add_library(isnet_warnings INTERFACE)
target_compile_options(isnet_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow=local -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual)
# False alarms of g++ 12 on std::string's operator+ (GCC bug 105329).
target_compile_options(isnet_warnings INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds>)
# … and on std::regex in code with sanitizers (GCC bug 105562).
if(ISNET_SANITIZE)
  target_compile_options(isnet_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
# torch's counts of references have fences, which the thread sanitizer does not see.
if(ISNET_SANITIZE STREQUAL "thread")
  target_compile_options(isnet_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()
if(ISNET_WARNINGS_AS_ERRORS)
  target_compile_options(isnet_warnings INTERFACE -Werror)
endif()
