# isnet_library(NAME sources…): the shared library isnet_NAME of src/NAME, known as isnet::NAME.
# Headers are installed, except those after PRIVATE_HEADERS and those of kernels. Installed headers include each other by
# paths that begin with isnet/ (Package.cmake).
# Shared, so that self-registering strategies are never dropped and plug-ins see the same registries.
function(isnet_library name)
  cmake_parse_arguments(ARG "" "" "PRIVATE_HEADERS" ${ARGN})
  add_library(isnet_${name} SHARED ${ARG_UNPARSED_ARGUMENTS})
  add_library(isnet::${name} ALIAS isnet_${name})
  set_target_properties(isnet_${name} PROPERTIES
    EXPORT_NAME ${name}
    DEFINE_SYMBOL ""  # the same flags everywhere, so that precompiled headers can be shared
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_include_directories(isnet_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:include>)
  target_compile_features(isnet_${name} PUBLIC cxx_std_20)
  target_link_libraries(isnet_${name} PRIVATE $<BUILD_INTERFACE:isnet_warnings>)
  install(TARGETS isnet_${name} EXPORT isnet-targets)
  file(GLOB_RECURSE headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.h)
  list(REMOVE_ITEM headers "" ${ARG_PRIVATE_HEADERS})
  list(FILTER headers EXCLUDE REGEX "(^|/)kernels/")
  foreach(header ${headers})
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${header} DESTINATION include/isnet/${name}/${folder})
    set_property(GLOBAL APPEND PROPERTY ISNET_PUBLIC_HEADERS ${name}/${header})  # as they are included
  endforeach()
endfunction()

# Gives a target that uses torch the shared precompiled headers (src/torch_headers).
function(isnet_use_torch target)
  target_link_libraries(${target} ${ARGN} LibTorch::torch)
  target_precompile_headers(${target} REUSE_FROM isnet_torch_headers)
endfunction()
