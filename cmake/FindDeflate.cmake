# libdeflate as Deflate::deflate: inflates two to three times as fast as zlib. Debian ships no CMake package.
find_path(Deflate_INCLUDE_DIR libdeflate.h)
find_library(Deflate_LIBRARY deflate)
mark_as_advanced(Deflate_INCLUDE_DIR Deflate_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Deflate REQUIRED_VARS Deflate_INCLUDE_DIR Deflate_LIBRARY
  REASON_FAILURE_MESSAGE "Run ./setup.sh")
if(Deflate_FOUND AND NOT TARGET Deflate::deflate)
  add_library(Deflate::deflate INTERFACE IMPORTED)
  target_include_directories(Deflate::deflate SYSTEM INTERFACE "${Deflate_INCLUDE_DIR}")
  target_link_libraries(Deflate::deflate INTERFACE "${Deflate_LIBRARY}")
endif()
