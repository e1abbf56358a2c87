# OpenCV's core, imgproc and imgcodecs as OpenCV::imgcodecs. Debian ships OpenCV's own CMake package only with
# all of its modules (650 MB); the three that we need come without it.
find_path(OpenCVModules_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4)
set(_libraries)
foreach(_name imgcodecs imgproc core)
  find_library(OpenCVModules_${_name}_LIBRARY opencv_${_name})
  list(APPEND _libraries OpenCVModules_${_name}_LIBRARY)
endforeach()
mark_as_advanced(OpenCVModules_INCLUDE_DIR ${_libraries})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVModules REQUIRED_VARS OpenCVModules_INCLUDE_DIR ${_libraries}
  REASON_FAILURE_MESSAGE "Run ./setup.sh")
if(OpenCVModules_FOUND AND NOT TARGET OpenCV::imgcodecs)
  add_library(OpenCV::imgcodecs INTERFACE IMPORTED)
  target_include_directories(OpenCV::imgcodecs SYSTEM INTERFACE "${OpenCVModules_INCLUDE_DIR}")
  foreach(_library ${_libraries})
    target_link_libraries(OpenCV::imgcodecs INTERFACE "${${_library}}")
  endforeach()
endif()
