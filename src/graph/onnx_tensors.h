// Tensors of ONNX files as plain ones.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>

#include "graph/graph.h"
#include "graph/onnx_file.h"

namespace isnet {

/// The tensor with its values, checked against its shape. `folder`: where external data may lie; empty: nowhere.
/// Errors: data (tensor, what is wrong), runtime.
GraphTensor graph_tensor(const onnx::TensorProto& proto, const std::filesystem::path& folder,
                         GraphValues values);

/// The same for a file; without a name.
onnx::TensorProto tensor_proto(const GraphTensor& tensor);

}  // namespace isnet
