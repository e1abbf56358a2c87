#include "model/weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/nn.h>

#include "base/error.h"
#include "base/files.h"
#include "support/python.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::python;
using testing::TemporaryFolder;

struct Classifier : torch::nn::Module {
  explicit Classifier(std::int64_t classes) {
    auto features = register_module("features", std::make_shared<torch::nn::Module>("features"));
    features->register_module("conv0", torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 2, 3).bias(false)));
    features->register_module("norm0", torch::nn::BatchNorm2d(2));
    register_module("classifier", torch::nn::Linear(2, classes));
  }
};

Classifier random_classifier(std::uint64_t seed, std::int64_t classes = 3) {
  torch::manual_seed(seed);
  Classifier module(classes);
  const at::NoGradGuard no_grad;
  for (auto& tensor : named_tensors(module))
    if (tensor.second.is_floating_point()) at::Tensor(tensor.second).normal_();
  return module;
}

std::string refusal(const std::filesystem::path& path, torch::nn::Module& module,
                    const LoadWeightsOptions& options = {}) {
  try {
    load_weights(path, module, options);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::checkpoint);
    EXPECT_THAT(e.what(), HasSubstr(path.filename().string()));
    return e.what();
  }
  return "accepted";
}

TEST(Weights, AreReadBackBitByBitWithTheirMetadata) {
  const TemporaryFolder folder;
  const Classifier written = random_classifier(1);
  Classifier read = random_classifier(2);
  save_weights(folder / "w", written, {{"normalize", "imagenet"}});
  const auto report = load_weights(folder / "w", read);
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.metadata.at("normalize"), "imagenet");
  const auto expected = named_tensors(written);
  EXPECT_EQ(expected.count("features.norm0.running_var"), 1u);
  for (const auto& [name, tensor] : named_tensors(read))
    EXPECT_TRUE(at::equal(tensor, expected.at(name))) << name;
}

TEST(Weights, WhatDoesNotFitIsNamedAndNothingIsChanged) {
  const TemporaryFolder folder;
  save_weights(folder / "w", random_classifier(1, 3));
  Classifier other = random_classifier(2, 5);
  const auto before = other.parameters()[0].clone();
  EXPECT_THAT(refusal(folder / "w", other),
              HasSubstr("classifier.weight: 3×2 in the file, 5×2 in the network"));
  EXPECT_TRUE(at::equal(other.parameters()[0], before));

  auto tensors = named_tensors(random_classifier(1));
  tensors.erase("features.norm0.bias");
  tensors["extra.weight"] = at::ones({2});
  safetensors::write(folder / "w2", views_of(host_copies(tensors)));
  Classifier same = random_classifier(2);
  EXPECT_THAT(refusal(folder / "w2", same),
              HasSubstr("missing: features.norm0.bias; superfluous: extra.weight"));
}

TEST(Weights, AChangedHeadKeepsItsOwnValues) {
  const TemporaryFolder folder;
  const Classifier written = random_classifier(1, 3);
  save_weights(folder / "w", written);
  Classifier other = random_classifier(2, 5);
  const auto head = named_tensors(other).at("classifier.weight").clone();
  const auto report = load_weights(folder / "w", other, {.changed_head = "classifier"});
  EXPECT_THAT(report.mis_shaped.size(), 2u);
  EXPECT_TRUE(at::equal(named_tensors(other).at("classifier.weight"), head));
  EXPECT_TRUE(at::equal(named_tensors(other).at("features.conv0.weight"),
                        named_tensors(written).at("features.conv0.weight")));
}

TEST(Weights, FloatingTypesAreConvertedAndMissingBatchCountsAllowed) {
  const TemporaryFolder folder;
  auto tensors = named_tensors(random_classifier(1));
  tensors.erase("features.norm0.num_batches_tracked");
  tensors["classifier.weight"] = at::full({3, 2}, 0.5).to(at::kHalf);
  tensors["features.norm0.weight"] = at::full({2}, 0.25, at::kDouble);
  safetensors::write(folder / "w", views_of(host_copies(tensors)));
  Classifier module = random_classifier(2);
  EXPECT_THAT(load_weights(folder / "w", module).missing, ElementsAre("features.norm0.num_batches_tracked"));
  EXPECT_TRUE(at::equal(named_tensors(module).at("classifier.weight"), at::full({3, 2}, 0.5)));
  tensors["classifier.weight"] = at::ones({3, 2}, at::kLong);
  safetensors::write(folder / "w", views_of(host_copies(tensors)));
  EXPECT_THAT(refusal(folder / "w", module), HasSubstr("'classifier.weight' has the type I64"));
}

TEST(Weights, EveryTypeSurvivesAFile) {
  const TemporaryFolder folder;
  NamedTensors tensors;
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                          at::kChar, at::kByte, at::kBool})
    tensors[at::toString(type)] = at::arange(6, at::kLong).view({2, 3}).remainder(2).to(type);
  safetensors::write(folder / "w", views_of(host_copies(tensors)));
  const safetensors::File file(folder / "w");
  for (const auto& [name, tensor] : tensors) {
    const auto read = tensor_of(file.tensors().at(name));
    EXPECT_EQ(read.scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(at::equal(read, tensor)) << name;
  }
}

TEST(Weights, PythonReadsWhatWeWrite) {
  const TemporaryFolder folder;
  save_weights(folder / "w.safetensors", random_classifier(1), {{"normalize", "none"}});
  const auto result = python(folder, R"(
import sys, torch
from safetensors import safe_open
from safetensors.torch import load_file
tensors = load_file(sys.argv[1] + "/w.safetensors")
module = torch.nn.Module()
module.features = torch.nn.Sequential()
module.features.add_module("conv0", torch.nn.Conv2d(1, 2, 3, bias=False))
module.features.add_module("norm0", torch.nn.BatchNorm2d(2))
module.classifier = torch.nn.Linear(2, 3)
module.load_state_dict(tensors, strict=True)
print(safe_open(sys.argv[1] + "/w.safetensors", "pt").metadata())
for name in sorted(tensors):
    print(name, tensors[name].double().sum().item().hex())
)");
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("{'normalize': 'none'}"));
  for (const auto& [name, tensor] : named_tensors(random_classifier(1))) {
    const auto line = result.output.find(name + " ");
    ASSERT_NE(line, std::string::npos) << name;
    const double read = std::strtod(result.output.c_str() + line + name.size() + 1, nullptr);
    EXPECT_DOUBLE_EQ(read, tensor.to(at::kDouble).sum().item<double>()) << name;
  }
}

TEST(Weights, WeReadWhatPythonWrites) {
  const TemporaryFolder folder;
  const auto result = python(folder, R"(
import sys, torch
from safetensors.torch import save_file
module = torch.nn.Module()
module.features = torch.nn.Sequential()
module.features.add_module("conv0", torch.nn.Conv2d(1, 2, 3, bias=False))
module.features.add_module("norm0", torch.nn.BatchNorm2d(2))
module.classifier = torch.nn.Linear(2, 3)
state = {}
for index, (name, tensor) in enumerate(sorted(module.state_dict().items())):
    values = torch.arange(tensor.numel()).reshape(tensor.shape) + 100 * index
    state[name] = values.to(tensor.dtype)
save_file(state, sys.argv[1] + "/w.safetensors", metadata={"format": "pt"})
)");
  ASSERT_EQ(result.status, 0) << result.output;
  Classifier module = random_classifier(1);
  EXPECT_TRUE(load_weights(folder / "w.safetensors", module).complete());
  std::int64_t index = 0;
  for (const auto& [name, tensor] : named_tensors(module)) {
    const auto expected =
        (at::arange(tensor.numel()).view(tensor.sizes()) + 100 * index++).to(tensor.scalar_type());
    EXPECT_TRUE(at::equal(tensor, expected)) << name;
  }
}

}  // namespace
}  // namespace isnet
