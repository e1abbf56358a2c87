// Small ONNX models, made with ONNX's own schema.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace isnet::testing {

inline onnx::NodeProto& add_node(onnx::ModelProto& model, const std::string& operation,
                                 const std::vector<std::string>& inputs, const std::string& output) {
  auto& node = *model.mutable_graph()->add_node();
  node.set_op_type(operation);
  node.set_name("node_" + output);
  for (const auto& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

inline onnx::TensorProto& add_tensor(onnx::ModelProto& model, const std::string& name,
                                     const std::vector<std::int64_t>& shape, float value = 0.5F) {
  auto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  std::int64_t count = 1;
  for (const auto extent : shape) {
    tensor.add_dims(extent);
    count *= extent;
  }
  for (std::int64_t i = 0; i < count; ++i) tensor.add_float_data(value + static_cast<float>(i));
  return tensor;
}

/// Images B×3×8×8 → output "y"; opset 17.
inline onnx::ModelProto empty_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  auto& input = *model.mutable_graph()->add_input();
  input.set_name("x");
  auto& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("batch");
  for (const std::int64_t extent : {3, 8, 8}) type.mutable_shape()->add_dim()->set_dim_value(extent);
  model.mutable_graph()->add_output()->set_name("y");
  return model;
}

/// A convolution, a global pool and a linear layer of 2 classes.
inline onnx::ModelProto small_model() {
  onnx::ModelProto model = empty_model();
  add_tensor(model, "conv.weight", {4, 3, 3, 3});
  add_tensor(model, "fc.weight", {2, 4});
  add_tensor(model, "fc.bias", {2});
  add_node(model, "Conv", {"x", "conv.weight"}, "a");
  add_node(model, "GlobalAveragePool", {"a"}, "b");
  add_node(model, "Flatten", {"b"}, "c");
  auto& gemm = add_node(model, "Gemm", {"c", "fc.weight", "fc.bias"}, "y");
  auto& attribute = *gemm.add_attribute();
  attribute.set_name("transB");
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(1);
  return model;
}

}  // namespace isnet::testing
