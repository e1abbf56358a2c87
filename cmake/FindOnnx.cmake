# ONNX's schema, compiled, as Onnx::proto, and its checker as Onnx::onnx, both with protobuf. Debian ships no CMake package.
find_path(Onnx_INCLUDE_DIR onnx/onnx_pb.h)
find_library(Onnx_PROTO_LIBRARY onnx_proto)
find_library(Onnx_LIBRARY onnx)
find_library(Onnx_PROTOBUF_LIBRARY protobuf)
mark_as_advanced(Onnx_INCLUDE_DIR Onnx_PROTO_LIBRARY Onnx_LIBRARY Onnx_PROTOBUF_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Onnx
  REQUIRED_VARS Onnx_INCLUDE_DIR Onnx_PROTO_LIBRARY Onnx_LIBRARY Onnx_PROTOBUF_LIBRARY
  REASON_FAILURE_MESSAGE "Run ./setup.sh")
if(Onnx_FOUND AND NOT TARGET Onnx::proto)
  add_library(Onnx::proto INTERFACE IMPORTED)
  target_include_directories(Onnx::proto SYSTEM INTERFACE "${Onnx_INCLUDE_DIR}")
  target_compile_definitions(Onnx::proto INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
  target_link_libraries(Onnx::proto INTERFACE "${Onnx_PROTO_LIBRARY}" "${Onnx_PROTOBUF_LIBRARY}")
  add_library(Onnx::onnx INTERFACE IMPORTED)
  target_link_libraries(Onnx::onnx INTERFACE Onnx::proto "${Onnx_LIBRARY}")
endif()
