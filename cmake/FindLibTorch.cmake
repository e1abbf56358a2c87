# LibTorch as the torch wheel brings it, without the wheel's own TorchConfig.cmake (which asks for MKL and, in
# CUDA builds, for a full CUDA toolkit).
#
#   LibTorch::torch   headers and libraries; with a CUDA wheel torch_cuda, c10_cuda and NCCL's headers too
#   LibTorch_VERSION, LibTorch_CUDA (whether this wheel was built with CUDA), LibTorch_LIBRARY_DIR
#
# Looked for in: LibTorch_ROOT (the wheel's folder "torch"), the virtual environment ISNET_VENV, VIRTUAL_ENV,
# and <source>/.venv.
set(_candidates ${LibTorch_ROOT} $ENV{LibTorch_ROOT})
foreach(_venv ${ISNET_VENV} $ENV{VIRTUAL_ENV} ${CMAKE_CURRENT_LIST_DIR}/../.venv)
  file(GLOB _found "${_venv}/lib/python3*/site-packages/torch")
  list(APPEND _candidates ${_found})
endforeach()

find_path(LibTorch_INCLUDE_DIR torch/csrc/distributed/c10d/reducer.hpp
  PATHS ${_candidates} PATH_SUFFIXES include NO_DEFAULT_PATH)
foreach(_name torch torch_cpu c10)
  find_library(LibTorch_${_name}_LIBRARY ${_name} PATHS ${_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH)
  mark_as_advanced(LibTorch_${_name}_LIBRARY)
endforeach()
mark_as_advanced(LibTorch_INCLUDE_DIR)

set(LibTorch_CUDA OFF)
if(LibTorch_INCLUDE_DIR)
  get_filename_component(_torch "${LibTorch_INCLUDE_DIR}" DIRECTORY)
  set(LibTorch_LIBRARY_DIR "${_torch}/lib")
  file(STRINGS "${_torch}/version.py" _version REGEX "^__version__")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" LibTorch_VERSION "${_version}")
  if(EXISTS "${LibTorch_LIBRARY_DIR}/libtorch_cuda.so")
    set(LibTorch_CUDA ON)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_INCLUDE_DIR LibTorch_torch_LIBRARY LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run ./setup.sh, or set LibTorch_ROOT to the folder 'torch' of an installed wheel")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  find_package(OpenMP REQUIRED COMPONENTS CXX)  # at::parallel_for is compiled in the including file
  find_package(Threads REQUIRED)
  foreach(_name c10 torch_cpu)
    add_library(LibTorch::${_name} SHARED IMPORTED)
    set_target_properties(LibTorch::${_name} PROPERTIES IMPORTED_LOCATION "${LibTorch_${_name}_LIBRARY}")
  endforeach()
  # Everything behind one interface target: the wheel's libraries are always used together.
  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_include_directories(LibTorch::torch SYSTEM INTERFACE
    "${LibTorch_INCLUDE_DIR}" "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  # at::RecordFunction has one member more without NDEBUG, which the wheel's does not have.
  target_compile_definitions(LibTorch::torch INTERFACE USE_C10D_GLOO $<$<CONFIG:Debug>:NDEBUG>)
  target_compile_options(LibTorch::torch INTERFACE ${OpenMP_CXX_FLAGS})
  target_link_libraries(LibTorch::torch INTERFACE LibTorch::torch_cpu LibTorch::c10 Threads::Threads)
  target_link_options(LibTorch::torch INTERFACE ${OpenMP_CXX_FLAGS})
  if(LibTorch_CUDA)
    get_filename_component(_site "${_torch}" DIRECTORY)
    foreach(_name torch_cuda c10_cuda)
      add_library(LibTorch::${_name} SHARED IMPORTED)
      set_target_properties(LibTorch::${_name} PROPERTIES
        IMPORTED_LOCATION "${LibTorch_LIBRARY_DIR}/lib${_name}.so")
      # The CUDA libraries are registered by constructors: keep them although nothing names a symbol of theirs.
      target_link_libraries(LibTorch::torch INTERFACE
        "-Wl,--push-state,--no-as-needed" LibTorch::${_name} "-Wl,--pop-state")
    endforeach()
    file(GLOB _cuda_includes "${_site}/nvidia/*/include" "${_site}/nvidia/*/*/include")
    target_include_directories(LibTorch::torch SYSTEM INTERFACE ${_cuda_includes})
    target_compile_definitions(LibTorch::torch INTERFACE USE_C10D_NCCL)
    target_link_options(LibTorch::torch INTERFACE "-Wl,--allow-shlib-undefined")
  endif()
endif()
