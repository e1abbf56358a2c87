# utf8proc as Utf8proc::utf8proc: normal forms of Unicode. Debian ships no CMake package.
find_path(Utf8proc_INCLUDE_DIR utf8proc.h)
find_library(Utf8proc_LIBRARY utf8proc)
mark_as_advanced(Utf8proc_INCLUDE_DIR Utf8proc_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Utf8proc REQUIRED_VARS Utf8proc_INCLUDE_DIR Utf8proc_LIBRARY
  REASON_FAILURE_MESSAGE "Run ./setup.sh")
if(Utf8proc_FOUND AND NOT TARGET Utf8proc::utf8proc)
  add_library(Utf8proc::utf8proc INTERFACE IMPORTED)
  target_include_directories(Utf8proc::utf8proc SYSTEM INTERFACE "${Utf8proc_INCLUDE_DIR}")
  target_link_libraries(Utf8proc::utf8proc INTERFACE "${Utf8proc_LIBRARY}")
endif()
