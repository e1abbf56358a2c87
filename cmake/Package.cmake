# The CMake package of an installed tree: find_package(isnet) gives isnet::base, isnet::data, ….
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/isnet)
get_filename_component(ISNET_TORCH ${LibTorch_LIBRARY_DIR} DIRECTORY)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/isnet-config.cmake.in ${PROJECT_BINARY_DIR}/isnet-config.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/isnet-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/isnet-config.cmake ${PROJECT_BINARY_DIR}/isnet-config-version.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindLibTorch.cmake DESTINATION ${package_folder})
# In the source tree headers are included by their path in src/, in an installed tree below isnet/: names such as
# base/error.h would collide with those of others.
install(CODE [[
  file(GLOB_RECURSE headers "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/include/isnet/*.h")
  foreach(header ${headers})
    file(READ "${header}" content)
    string(REGEX REPLACE "#include \"(base|distributed|data|import|model|trainer|evaluation|run|cli)/" "#include \"isnet/\\1/" changed "${content}")
    if(NOT changed STREQUAL content)
      file(WRITE "${header}" "${changed}")
    endif()
  endforeach()]])
install(EXPORT isnet-targets NAMESPACE isnet:: DESTINATION ${package_folder})
