// The families of networks: names and shapes, plain sequences, stems.
#include <gmock/gmock.h>
#include <torch/nn.h>
#include <torch/utils.h>

#include <fstream>
#include <sstream>

#include "base/files.h"
#include "model/lrp/walk.h"
#include "model/network.h"
#include "model/networks/layer_list.h"
#include "model/weights.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::shared_ptr<Network> make(const std::string& name, const OptionValues& options,
                              std::int64_t classes = 3) {
  torch::manual_seed(7);
  auto network = networks().at(name).make(options, classes);
  network->place(at::kCPU, at::kDouble);
  network->eval();
  return network;
}

std::shared_ptr<Network> sequence(const std::string& layers, std::int64_t classes = 3) {
  auto options = model_options();
  options.set("layers", layers);
  return make("sequence", options, classes);
}

// Heatmaps of all classes and, if asked for, the logits.
at::Tensor heatmaps(Network& network, const at::Tensor& images, const LrpOptions& options,
                    at::Tensor* logits = nullptr, bool fused = true) {
  TapeContext context;
  context.recording = true;
  context.fused = fused;
  Tape tape(std::move(context));
  const Value y = network.forward(tape, images);
  const at::Tensor& out = tape.output(y);
  if (logits) *logits = out;
  LrpStart start;
  start.coefficients = at::eye(out.size(1), out.options()).expand({out.size(0), out.size(1), out.size(1)});
  return relevance(tape, y, start, options);
}

void remove_constants(Network& network) {
  const at::NoGradGuard no_grad;
  for (auto& entry : network.named_parameters())
    if (entry.key().find("bias") != std::string::npos) entry.value().zero_();
}

// Nothing is lost without constants as ε vanishes, in both forms; z^B and w² give finite maps.
void expect_conservation(Network& network, const at::Tensor& images) {
  remove_constants(network);
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    at::Tensor logits;
    const at::Tensor maps = heatmaps(network, images, {form, 1e-13, "epsilon"}, &logits);
    EXPECT_LE(relative_difference(maps.sum({2, 3, 4}), logits), 1e-8)
        << (form == LrpForm::block ? "block" : "flex") << maps.sum({2, 3, 4}) << logits;
    const at::Tensor composite = heatmaps(network, images, {form, 1e-13, "epsilon"}, nullptr, false);
    EXPECT_LE(relative_difference(maps, composite), 1e-12);
    EXPECT_GT(largest(logits), 0);
    for (const char* rule : {"zb", "w2"}) {
      const at::Tensor other = heatmaps(network, images, {form, 0.01, rule});
      EXPECT_EQ(other.sizes(), maps.sizes());
      EXPECT_TRUE(other.isfinite().all().item<bool>()) << rule;
      EXPECT_GT(largest(other), 0) << rule;
    }
  }
}

// Networks whose tensors tests/golden/torchvision_tensors.txt lists: name, parameters, tensors, digest.
std::vector<std::string> published() {
  std::ifstream file(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "torchvision_tensors.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  return lines;
}

class PublishedNetwork : public ::testing::TestWithParam<std::string> {};

TEST_P(PublishedNetwork, HasTheNamesAndShapesOfTorchvision) {
  std::istringstream line(GetParam());
  std::string name, digest;
  std::int64_t parameters = 0;
  std::size_t tensors = 0;
  line >> name >> parameters >> tensors >> digest;
  const auto network = networks().at(name).make(model_options(), 1000);
  std::int64_t own_parameters = 0;
  for (const auto& parameter : network->parameters()) own_parameters += parameter.numel();
  EXPECT_EQ(own_parameters, parameters);
  std::string text;
  const NamedTensors named = named_tensors(*network);
  for (const auto& [tensor_name, tensor] : named) {
    text += tensor_name + " ";
    for (std::int64_t i = 0; i < tensor.dim(); ++i) text += (i ? "x" : "") + cat(tensor.size(i));
    text += "\n";
  }
  EXPECT_EQ(named.size(), tensors);
  EXPECT_EQ(sha256(text), digest) << text;
}

INSTANTIATE_TEST_SUITE_P(Torchvision, PublishedNetwork, ::testing::ValuesIn(published()),
                         [](const auto& test) { return test.param.substr(0, test.param.find(' ')); });

TEST(PublishedNetworks, AreSeventeen) {
  EXPECT_EQ(published().size(), 17u);
}

TEST(Sequence, EqualsTorchsSequentialOfTheSameNames) {
  using namespace torch::nn;
  const auto ours = sequence(
      "conv 6 3x5 stride 2x1 pad 1x2 nobias, bn, relu, maxpool 3 stride 2 pad 1, conv 8 3 pad 2 dilation 2 "
      "groups 2, relu, avgpool 3 stride 2, bn, avgpool to 3x2, flatten, linear 10, relu, dropout 0.25, "
      "linear 7 "
      "nobias, relu, linear",
      4);
  struct Reference : Module {
    Sequential features{Conv2d(Conv2dOptions(3, 6, {3, 5}).stride({2, 1}).padding({1, 2}).bias(false)),
                        BatchNorm2d(6),
                        ReLU(),
                        MaxPool2d(MaxPool2dOptions(3).stride(2).padding(1)),
                        Conv2d(Conv2dOptions(6, 8, 3).padding(2).dilation(2).groups(2)),
                        ReLU(),
                        AvgPool2d(AvgPool2dOptions(3).stride(2)),
                        BatchNorm2d(8),
                        AdaptiveAvgPool2d(AdaptiveAvgPool2dOptions({3, 2})),
                        Flatten(),
                        Linear(48, 10),
                        ReLU(),
                        Dropout(0.25),
                        Linear(LinearOptions(10, 7).bias(false)),
                        ReLU()};
    Linear classifier{7, 4};
    Reference() {
      register_module("features", features);
      register_module("classifier", classifier);
    }
  } reference;
  const at::NoGradGuard no_grad;
  for (const auto& entry : named_tensors(*ours))
    if (entry.second.is_floating_point()) at::Tensor(entry.second).uniform_(0.1, 1);
  for (const auto& entry : named_tensors(reference))
    if (entry.second.is_floating_point()) at::Tensor(entry.second).set_data(entry.second.to(at::kDouble));
  reference.eval();
  EXPECT_TRUE(load_weights("sequence", named_tensors(*ours), reference).complete());
  const at::Tensor images = at::rand({2, 3, 23, 17}, at::kDouble);
  const at::Tensor expected = reference.classifier->forward(reference.features->forward(images));
  EXPECT_LE(relative_difference(ours->logits(images), expected), 1e-14);
  EXPECT_EQ(ours->head_name(), "classifier");
  EXPECT_EQ(ours->num_classes(), 4);
}

TEST(Sequence, ConservesRelevance) {
  const at::Tensor images = at::rand({2, 3, 25, 22}, at::kDouble);
  for (const char* layers :
       {"conv 6 3 pad 1, bn, relu, maxpool 2, conv 8 3, relu, avgpool global, flatten, dropout 0.5, linear",
        "conv 6 5 stride 2 nobias, relu, avgpool 3 stride 2, conv 8 3 pad 1 groups 2, bn, relu, avgpool to "
        "3x2, "
        "flatten, linear 9, relu, linear",
        "input 25x22, conv 4 3x2 dilation 2, relu, maxpool 3 stride 2 pad 1, flatten, linear nobias"}) {
    const auto network = sequence(layers);
    expect_conservation(*network, images);
  }
}

// Weights are live everywhere, and in eval mode nothing else depends on them: a batch norm that reads a ReLU
// has a gate of its own in the block form.
TEST(Sequence, GradientsOfWeightsAreThoseOfFiniteDifferences) {
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    const auto network = sequence(
        "conv 4 3, relu, bn, avgpool 3 stride 2, conv 4 2, relu, bn, avgpool to 2x1, flatten, linear");
    const at::Tensor images = at::rand({2, 3, 13, 11}, at::kDouble);
    const at::Tensor direction = at::randn({2, 3, 3, 13, 11}, at::kDouble);
    const auto functional = [&] {
      return (heatmaps(*network, images, {form, 0.05, "zb"}) * direction).sum();
    };
    expect_gradients_of_finite_differences(*network, functional);
  }
}

TEST(Sequence, NamesItsMapsForHeatmapsOfHiddenLayers) {
  const auto network =
      sequence("conv 4 3, bn, relu, maxpool 2, bn, conv 4 3, relu, avgpool global, flatten, relu, linear");
  TapeContext context;
  context.recording = true;
  Tape tape(std::move(context));
  network->forward(tape, at::rand({1, 3, 16, 16}, at::kDouble));
  std::vector<std::string> names;
  for (const auto& mark : tape.marks()) names.push_back(mark.first);
  EXPECT_THAT(names, ElementsAre("features.2", "features.6", "features.7"));
}

std::string layers_refusal(const std::string& layers) {
  return refusal(ErrorKind::usage, [&] { sequence(layers); });
}

TEST(Sequence, WhatIsWrongIsNamedWithItsPlace) {
  const std::string end = ", avgpool global, flatten, linear";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"conv 8 3, pool 2" + end, "features.1, 'pool 2': unknown layer 'pool'; known: conv, bn, "},
      {"conv 8 x" + end,
       "features.0, 'conv 8 x': its kernel: '' is not allowed; allowed: an integer from 1"},
      {"conv 8" + end, "features.0, 'conv 8': its kernel is missing"},
      {"conv 0 3" + end, "its channels: '0' is not allowed"},
      {"conv 8 3 pad -1" + end, "pad: '-1' is not allowed; allowed: an integer from 0 to 1000000"},
      {"conv 8 3 pad" + end, "pad is missing"},
      {"conv 8 3 padding 1" + end,
       "'padding' is not allowed here; the form is: conv CHANNELS KERNEL [stride S]"},
      {"conv 8 3 groups 2" + end, "groups have to divide its 3 input channels and its 8 own"},
      {"conv 8 99999999999999999999" + end, "'99999999999999999999' is not allowed"},
      {"conv 8 3, maxpool 2 pad 2" + end, "features.1, 'maxpool 2 pad 2': pad is more than half the kernel"},
      {"conv 8 3, maxpool 2x3" + end, "its kernel: '2x3' is not allowed"},
      {"conv 8 3, avgpool 2 pad 1" + end,
       "'pad' is not allowed here; the form is: avgpool KERNEL [stride S], "},
      {"conv 8 3, relu 6" + end, "'6' is not allowed here; the form is: relu"},
      {"conv 8 3, dropout 1" + end, "'1' is not allowed; allowed: a number from 0 to less than 1"},
      {"conv 8 3,, relu" + end, "features.1, '': a layer is missing between two commas"},
      {"conv 8 3, input 8x8" + end, "'input 8x8': it has to come first"},
      {"conv 8 3, relu, flatten, linear",
       "features.2, 'flatten': how much it reads depends on the images: put 'avgpool"},
      {"conv 8 3, linear 5" + end, "features.1, 'linear 5': it reads features: put 'flatten' before it"},
      {"conv 8 3, avgpool global, flatten, bn, linear",
       "features.3, 'bn': it reads maps, but follows flatten"},
      {"conv 8 3, avgpool global, flatten, linear, relu, linear",
       "features.3, 'linear': its features are missing"},
      {"conv 8 3, avgpool global, flatten", "features.2, 'flatten': the last layer has to be 'linear'"},
      {"conv 8 3, avgpool global, flatten, linear 3", "the last layer has to be 'linear', without a number"},
      {"input 4x4, conv 8 5, flatten, linear",
       "features.0, 'conv 8 5': what it reads, 4×4 pixels, is smaller"},
      {"input 8x8", "there are no layers"},
      {"@/nowhere/net.txt", "--layers: cannot read '/nowhere/net.txt'"}};
  for (const auto& [layers, reason] : cases) {
    const std::string message = layers_refusal(layers);
    EXPECT_THAT(message, AllOf(HasSubstr("--layers: "), HasSubstr(reason))) << layers;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  EXPECT_THAT(refusal(ErrorKind::usage, [] { make("sequence", model_options()); }), HasSubstr("is required"));
}

TEST(Sequence, ImagesThatDoNotFitAreUsageErrors) {
  const auto pools = sequence("conv 4 3, maxpool 4, conv 4 3, avgpool global, flatten, linear");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { pools->logits(at::rand({1, 3, 12, 12}, at::kDouble)); }),
              HasSubstr("features.2, 'conv 4 3': what it reads, 2×2 pixels, is smaller than its kernel"));
  const auto fixed = sequence("input 8x6, conv 4 3, flatten, linear");
  EXPECT_EQ(fixed->logits(at::rand({1, 3, 8, 6}, at::kDouble)).size(1), 3);
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { fixed->logits(at::rand({1, 3, 6, 8}, at::kDouble)); }),
              HasSubstr("images have 6×8 pixels, 'input' says 8×6"));
}

TEST(Sequence, ADropoutWithoutANumberIsThatOfTheOption) {
  auto options = model_options();
  options.set("layers", "conv 4 1, avgpool global, flatten, dropout, linear");
  options.set("dropout", "0.9");
  const auto network = make("sequence", options);
  TapeContext context;
  context.recording = context.dropout = true;
  context.ids = at::arange(50);
  Tape tape(std::move(context));
  network->forward(tape, at::ones({50, 3, 2, 2}, at::kDouble));
  const at::Tensor dropped = tape.output(Value{tape.size() - 2});
  const double zeros = (dropped == 0).to(at::kDouble).mean().item<double>();
  EXPECT_GT(zeros, 0.75);
  EXPECT_LT(zeros, 0.99);
}

TEST(Sequence, IsReadFromAFileOfLinesAndComments) {
  const TemporaryFolder folder;
  write_file_atomically(
      folder / "net.txt",
      "# two layers\nconv 4 3   pad 1 , relu # the first\n\navgpool global\nflatten\nlinear\n");
  EXPECT_EQ(layers_text("@" + (folder / "net.txt").string()),
            "conv 4 3 pad 1, relu, avgpool global, flatten, linear");
  EXPECT_EQ(layers_text("conv 4 3, linear"), "conv 4 3, linear");
}

TEST(Vgg, LayersOfAnotherKindAreUsageErrors) {
  for (const char* layers : {"M,64", "64,x", "64,0", "conv 64 3, linear"}) {
    auto options = model_options();
    options.set("layers", layers);
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { make("vgg", options); }), HasSubstr("allowed for vgg"))
        << layers;
  }
}

class Stems : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  static OptionValues options(const char* stem) {
    auto options = model_options();
    options.set("growth-rate", "4");
    options.set("init-features", "6");
    options.set("widths", "4,6");
    options.set("block", GetParam().second);
    options.set("blocks", "2,2");
    options.set("stem", stem);
    return options;
  }
};

TEST_P(Stems, SmallOnesKeepTheSizeAndTheNames) {
  const auto large = make(GetParam().first, options("imagenet")),
             small = make(GetParam().first, options("small"));
  const NamedTensors before = named_tensors(*large), after = named_tensors(*small);
  ASSERT_EQ(before.size(), after.size());
  int different = 0;
  for (const auto& [name, tensor] : before) {
    ASSERT_EQ(after.count(name), 1u) << name;
    if (tensor.sizes() == after.at(name).sizes()) continue;
    ++different;
    EXPECT_EQ(tensor.size(3), 7);
    EXPECT_EQ(after.at(name).size(3), 3);
  }
  EXPECT_EQ(different, 1);
  const auto sizes = [](Network& network) {
    TapeContext context;
    context.recording = true;
    Tape tape(std::move(context));
    network.forward(tape, at::rand({1, 3, 32, 28}, at::kDouble));
    const auto& map = tape.output(Value{tape.marks().front().second});
    return std::pair(map.size(2), map.size(3));
  };
  EXPECT_EQ(sizes(*large), std::pair(8L, 7L));
  EXPECT_EQ(sizes(*small), std::pair(32L, 28L));
}

TEST_P(Stems, SmallOnesConserveRelevance) {
  const auto network = make(GetParam().first, options("small"));
  expect_conservation(*network, at::rand({2, 3, 13, 10}, at::kDouble));
}

INSTANTIATE_TEST_SUITE_P(Families, Stems,
                         ::testing::Values(std::pair{"densenet", "basic"}, std::pair{"resnet", "basic"},
                                           std::pair{"resnet", "bottleneck"}),
                         [](const auto& test) {
                           return std::string(test.param.first) + "_" + test.param.second;
                         });

}  // namespace
}  // namespace isnet
