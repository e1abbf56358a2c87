// Networks of ONNX files, exported from torchvision's definitions by both of PyTorch's exporters, against ONNX
// Runtime's logits and PyTorch's gradients (tests/golden/onnx/make.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/functional/loss.h>

#include <iostream>

#include "graph/graph_text.h"
#include "model/lrp/walk.h"
#include "model/onnx/graph_network.h"
#include "model/weights.h"
#include "support/golden.h"

namespace isnet {
namespace {

using namespace isnet::testing;

std::string file_of(const std::string& name) {
  return (std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "onnx" / (name + ".onnx")).string();
}

at::Tensor images(std::int64_t count, std::int64_t size) {
  const at::Tensor index = at::arange(count * 3 * size * size, at::kDouble);
  return (0.5 + 0.5 * at::sin(0.37 * index + 0.011 * at::fmod(index, 97))).view({count, 3, size, size});
}

std::shared_ptr<Network> network_of(const std::string& name, at::ScalarType type = at::kDouble) {
  const OnnxModel model = read_onnx_model(file_of(name));
  auto network = make_graph_network(graph_of_text(model.graph), model.classes, 0);
  load_weights(name, model.tensors, *network);
  network->place(at::kCPU, type);
  network->eval();
  return network;
}

TapeContext recording(const Network& network) {
  TapeContext context;
  context.recording = true;
  context.network = &network;
  return context;
}

class OnnxGolden : public ::testing::TestWithParam<const char*> {
 protected:
  OnnxGolden() : file_(golden_file("onnx/onnx.h5")), golden_(file_.group(GetParam())), size_(golden_.attribute<std::int64_t>("size")) {}

  hdf5::File file_;
  hdf5::Group golden_;
  std::int64_t size_;
};

TEST_P(OnnxGolden, LogitsEqualThoseOfOnnxRuntime) {
  const auto network = network_of(GetParam(), at::kFloat);
  const at::NoGradGuard no_grad;
  const at::Tensor logits = network->logits(images(2, size_).to(at::kFloat));
  const double error = relative_difference(logits, golden_tensor(golden_, "logits"));
  std::cout << GetParam() << ": logits " << error << '\n';
  EXPECT_LE(error, 1e-5);
}

// Where ε vanishes, the ε rule is gradient × input of a network whose gates are constants.
TEST_P(OnnxGolden, HeatmapsAreGradientTimesInputWhereEpsilonVanishes) {
  const auto network = network_of(GetParam());
  const at::Tensor expected = golden_tensor(golden_, "blocks");
  ASSERT_GT(expected.abs().max().item<double>(), 0) << "a dead network shows nothing";
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    Tape tape(recording(*network));
    const Value logits = network->forward(tape, images(1, size_));
    LrpOptions options;
    options.form = form;
    options.epsilon = 1e-13;
    options.first_layer = "epsilon";
    const at::Tensor start = at::eye(3, at::kDouble).unsqueeze(0);
    const at::Tensor maps = relevance(tape, logits, {start, false}, options);  // 1×3×3×H×W
    const at::Tensor blocks = maps[0].view({3, 3, 8, size_ / 8, 8, size_ / 8}).sum({3, 5});
    const double error = relative_difference(blocks, expected);
    std::cout << GetParam() << ": heatmaps " << error << '\n';
    EXPECT_LE(error, 1e-6) << (form == LrpForm::block ? "block" : "flex");
  }
}

TEST_P(OnnxGolden, GradientsOfTheLossEqualPyTorchs) {
  const auto network = network_of(GetParam());
  Tape tape(recording(*network));
  const at::Tensor logits = tape.output(network->forward(tape, images(2, size_)));
  torch::nn::functional::cross_entropy(logits, at::tensor({0, 2}, at::kLong)).backward();
  const auto expected = golden_tensors(golden_.group("gradients"));
  const bool all = expected.size() == network->named_parameters().size();
  int compared = 0;
  double scale = 0, worst = 0;
  for (const auto& entry : expected) scale = std::max(scale, entry.second[1].item<double>());
  for (const auto& entry : network->named_parameters()) {
    const auto found = expected.find(entry.key());
    if (found == expected.end() || !all) continue;  // batch norms are folded: other weights
    const at::Tensor g = entry.value().grad().flatten();
    const at::Tensor weights = at::sin(0.1 * at::arange(g.numel(), at::kDouble));
    const at::Tensor sums = at::stack({(g * weights).sum(), g.abs().sum()});
    worst = std::max(worst, largest(sums - found->second) / scale);
    ++compared;
  }
  std::cout << GetParam() << ": gradients " << worst << " of " << compared << " tensors\n";
  EXPECT_LE(worst, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Torchvision, OnnxGolden,
                         ::testing::Values("vgg11_bn", "resnet18", "resnet18_folded", "resnet18_dynamo",
                                           "resnext50", "wide_resnet50", "densenet121", "densenet121_dynamo",
                                           "googlenet", "mobilenet_v2", "mobilenet_v2_dynamo", "mobilenet_v3",
                                           "squeezenet1_1", "shufflenet_v2", "shufflenet_v2_dynamo", "mnasnet",
                                           "regnet_y", "efficientnet_b0"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace isnet
