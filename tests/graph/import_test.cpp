#include "graph/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/onnx_file.h"
#include "models.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;

ImportedGraph imported(const onnx::ModelProto& model) {
  return import_graph(parse_onnx(model.SerializeAsString(), GraphValues::all));
}

TEST(Import, FindsTheHeadAndItsClasses) {
  const auto graph = imported(small_model());
  EXPECT_EQ(graph.head, "fc");
  EXPECT_EQ(graph.classes, 2);
}

TEST(Import, LeavesTheLastSoftmaxOut) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(3)->set_output(0, "logits");
  add_node(model, "Softmax", {"logits"}, "y");
  const auto graph = imported(model);
  EXPECT_EQ(graph.graph.output, "logits");
  EXPECT_EQ(graph.head, "fc");
  EXPECT_EQ(graph.notes.size(), 1U);
}

TEST(Import, AProductWithAWeightAndASumWithAVectorAreALinearLayer) {
  auto model = empty_model();
  add_tensor(model, "onnx::MatMul_7", {3, 2});  // inputs × outputs: 0.5 … 5.5
  add_tensor(model, "onnx::Add_8", {2});
  add_node(model, "GlobalAveragePool", {"x"}, "a");
  add_node(model, "Flatten", {"a"}, "b");
  add_node(model, "MatMul", {"b", "onnx::MatMul_7"}, "c");
  add_node(model, "Add", {"onnx::Add_8", "c"}, "y");
  const auto graph = imported(model);
  ASSERT_EQ(graph.graph.nodes.size(), 3U);
  EXPECT_EQ(graph.graph.nodes.back().operation, "Linear");
  EXPECT_EQ(graph.head, "head");
  const auto& weight = graph.graph.tensors.at("head.weight");
  EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(numbers(weight), (std::vector<double>{0.5, 2.5, 4.5, 1.5, 3.5, 5.5}));
  EXPECT_EQ(graph.graph.tensors.count("head.bias"), 1U);
}

TEST(Import, TakesTheNormalisationOut) {
  auto model = small_model();
  auto& mean = add_tensor(model, "mean", {1, 3, 1, 1});
  add_tensor(model, "std", {1, 3, 1, 1});
  mean.set_float_data(0, 0.485F);
  model.mutable_graph()->mutable_node(0)->set_input(0, "normal");
  onnx::ModelProto ordered = model;
  ordered.mutable_graph()->clear_node();
  add_node(ordered, "Sub", {"x", "mean"}, "centred");
  add_node(ordered, "Div", {"centred", "std"}, "normal");
  for (const auto& node : model.graph().node()) *ordered.mutable_graph()->add_node() = node;
  const auto graph = imported(ordered);
  EXPECT_EQ(graph.mean, (std::vector<double>{0.485, 1.5, 2.5}));
  EXPECT_EQ(graph.std, (std::vector<double>{0.5, 1.5, 2.5}));
  EXPECT_EQ(graph.graph.nodes.front().operation, "Conv");
  EXPECT_EQ(graph.graph.nodes.front().input(0), "x");
}

// Exporters keep one of several equal tensors.
TEST(Import, BatchNormsThatShareTensorsGetTheirOwn) {
  auto model = empty_model();
  for (const char* name : {"one.weight", "one.bias", "one.running_mean", "two.running_mean", "one.running_var"})
    add_tensor(model, name, {3});
  add_tensor(model, "fc.weight", {2, 3});
  add_node(model, "BatchNormalization", {"x", "one.weight", "one.bias", "one.running_mean", "one.running_var"}, "a");
  add_node(model, "BatchNormalization", {"a", "one.weight", "one.bias", "two.running_mean", "one.running_var"}, "b");
  add_node(model, "BatchNormalization", {"b", "one.weight", "one.bias", "two.running_mean", "one.running_var"}, "c");
  add_node(model, "GlobalAveragePool", {"c"}, "d");
  add_node(model, "Flatten", {"d"}, "e");
  auto& gemm = add_node(model, "Gemm", {"e", "fc.weight"}, "y");
  gemm.add_attribute()->set_name("transB");
  gemm.mutable_attribute(0)->set_type(onnx::AttributeProto::INT);
  gemm.mutable_attribute(0)->set_i(1);
  const auto graph = imported(model);
  EXPECT_EQ(graph.graph.nodes[0].input(1), "one.weight");
  EXPECT_EQ(graph.graph.nodes[1].input(1), "two.weight");
  EXPECT_EQ(graph.graph.nodes[2].input(1), "two_2.weight");
  EXPECT_EQ(graph.graph.tensors.size(), 13U);
}

TEST(Import, ScalarsAreConstantsAndVectorsWeights) {
  auto model = small_model();
  add_tensor(model, "scale", {4, 1, 1});
  add_tensor(model, "half", {});
  model.mutable_graph()->mutable_node(1)->set_input(0, "scaled");
  onnx::ModelProto ordered = model;
  ordered.mutable_graph()->clear_node();
  *ordered.mutable_graph()->add_node() = model.graph().node(0);
  add_node(ordered, "Mul", {"a", "scale"}, "m");
  add_node(ordered, "Mul", {"m", "half"}, "scaled");
  for (int i = 1; i < model.graph().node_size(); ++i) *ordered.mutable_graph()->add_node() = model.graph().node(i);
  const auto graph = imported(ordered);
  EXPECT_EQ(graph.graph.tensors.count("scale"), 1U);
  EXPECT_EQ(graph.graph.constants.count("half"), 1U);
}

}  // namespace
}  // namespace isnet
