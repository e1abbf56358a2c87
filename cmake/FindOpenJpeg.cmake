# OpenJPEG (JPEG 2000) as OpenJpeg::openjp2. Its own CMake package lies where CMake does not look.
find_path(OpenJpeg_INCLUDE_DIR openjpeg.h PATH_SUFFIXES openjpeg-2.5 openjpeg-2.4 openjpeg-2.3)
find_library(OpenJpeg_LIBRARY openjp2)
mark_as_advanced(OpenJpeg_INCLUDE_DIR OpenJpeg_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenJpeg REQUIRED_VARS OpenJpeg_INCLUDE_DIR OpenJpeg_LIBRARY
  REASON_FAILURE_MESSAGE "Run ./setup.sh")
if(OpenJpeg_FOUND AND NOT TARGET OpenJpeg::openjp2)
  add_library(OpenJpeg::openjp2 INTERFACE IMPORTED)
  target_include_directories(OpenJpeg::openjp2 SYSTEM INTERFACE "${OpenJpeg_INCLUDE_DIR}")
  target_link_libraries(OpenJpeg::openjp2 INTERFACE "${OpenJpeg_LIBRARY}")
endif()
