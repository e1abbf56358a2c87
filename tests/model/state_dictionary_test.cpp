// Files of Python's torch.save: those that it writes, and those that mean harm.
#include "model/pickle/state_dictionary.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/files.h"
#include "model/weights.h"
#include "support/python.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string golden_bytes(const std::string& name) {
  return read_file(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / name);
}

at::Tensor counted(at::IntArrayRef shape, at::ScalarType type, std::int64_t start = 0) {
  return (at::arange(c10::multiply_integers(shape), at::kLong) + start).view(shape).to(type);
}

// What tests/golden/make_state_dictionaries.py writes.
NamedTensors expected_tensors() {
  const at::Tensor grid = counted({4, 6}, at::kFloat);
  return {{"float", counted({2, 3}, at::kFloat)},
          {"double", counted({2, 3}, at::kDouble, 1)},
          {"half", counted({5}, at::kHalf)},
          {"bfloat16", counted({5}, at::kBFloat16)},
          {"long", counted({3}, at::kLong, -1)},
          {"int", counted({3}, at::kInt, -1)},
          {"short", counted({3}, at::kShort, -1)},
          {"char", counted({3}, at::kChar, -1)},
          {"byte", counted({3}, at::kByte)},
          {"bool", at::tensor({1, 0, 1}).to(at::kBool)},
          {"scalar", at::scalar_tensor(7, at::kLong)},
          {"empty", at::empty({0, 3})},
          {"transposed", grid.t()},
          {"part", grid.slice(0, 1, 3).slice(1, 2, 5)},
          {"repeated", at::full({3, 2}, 2.5)},
          {"parameter", counted({2, 2}, at::kFloat)}};
}

void expect_equal(const NamedTensors& actual, const NamedTensors& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(actual.count(name), 1u) << name;
    EXPECT_EQ(actual.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(actual.at(name), tensor)) << name;
  }
}

TEST(StateDictionary, OfTheZipFormatIsReadExactly) {
  const auto read = read_state_dictionary(golden_bytes("state_dictionary_zip.pth"), "w.pth");
  expect_equal(read.tensors, expected_tensors());
  EXPECT_EQ(read.key, "");
  EXPECT_TRUE(read.tensors.at("part").is_alias_of(read.tensors.at("transposed")));
}

TEST(StateDictionary, OfTheLegacyFormatIsFoundInItsCheckpoint) {
  const auto read = read_state_dictionary(golden_bytes("state_dictionary_legacy.pth"), "w.pth");
  NamedTensors expected;
  for (const auto& [name, tensor] : expected_tensors()) expected["module." + name] = tensor;
  expect_equal(read.tensors, expected);
  EXPECT_EQ(read.key, "state_dict");
}

TEST(StateDictionary, OfPythonTwoIsReadExactly) {
  const auto read = read_state_dictionary(golden_bytes("state_dictionary_old.pth"), "w.pth");
  expect_equal(read.tensors,
               {{"features.denseblock1.denselayer1.norm.1.weight", counted({2, 2}, at::kFloat)},
                {"features.denseblock1.denselayer1.conv.2.weight", at::tensor({0.5, 1.5}, at::kDouble)},
                {"classifier.weight", counted({2, 2}, at::kFloat)}});
}

TEST(StateDictionary, NamesOfWrappersAndOfOldDenseNetsAreMadePlain) {
  const std::filesystem::path golden = std::filesystem::path(ISNET_TESTS_DIR) / "golden";
  const auto legacy = read_weights(golden / "state_dictionary_legacy.pth");
  expect_equal(legacy.tensors, expected_tensors());
  EXPECT_THAT(legacy.notes, ElementsAre("the weights are those under 'state_dict'",
                                        "the prefix 'module.' of all names is dropped"));
  const auto old = read_weights(golden / "state_dictionary_old.pth");
  EXPECT_EQ(old.tensors.count("features.denseblock1.denselayer1.norm1.weight"), 1u);
  EXPECT_EQ(old.tensors.count("features.denseblock1.denselayer1.conv2.weight"), 1u);
  EXPECT_THAT(old.notes, ElementsAre(HasSubstr("2 names of dense layers")));
  EXPECT_TRUE(read_weights(golden / "state_dictionary_zip.pth").notes.empty());
}

TEST(StateDictionary, NamesInFilesOfIsnetStayAsTheyAre) {
  const TemporaryFolder folder;
  const NamedTensors tensors{{"model.a", at::ones({2})}, {"model.b", at::ones({3})}};
  safetensors::write(folder / "ours", views_of(tensors), {{"isnet.options", ""}});
  safetensors::write(folder / "other", views_of(tensors));
  expect_equal(read_weights(folder / "ours").tensors, tensors);
  EXPECT_EQ(read_weights(folder / "other").tensors.count("a"), 1u);
}

TEST(StateDictionary, WhatPythonWritesInAnyProtocolIsReadExactly) {
  const TemporaryFolder folder;
  const auto result = python(folder, R"(
import sys, torch
from safetensors.torch import save_file
torch.manual_seed(1)
module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(7, 5))
module.double()[2].half()
state = module.state_dict()
state["view"] = torch.randn(6, 5, dtype=torch.float64)[::2, 1:].permute(1, 0)
save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, sys.argv[1] + "/expected")
for protocol in (2, 3, 4, 5):
    for zip in (True, False):
        torch.save(state, f"{sys.argv[1]}/{protocol}{zip}", pickle_protocol=protocol,
                   _use_new_zipfile_serialization=zip)
torch.serialization.set_crc32_options(False)
torch.save({"model": state, "epoch": 1}, sys.argv[1] + "/unchecked")
)");
  ASSERT_EQ(result.status, 0) << result.output;
  const NamedTensors expected = read_weights(folder / "expected").tensors;
  ASSERT_EQ(expected.size(), 10u);
  for (const char* protocol : {"2", "3", "4", "5"})
    for (const char* zip : {"True", "False"})
      expect_equal(read_weights(folder / (std::string(protocol) + zip)).tensors, expected);
  expect_equal(read_weights(folder / "unchecked").tensors, expected);
}

TEST(StateDictionary, BytesInTheOtherOrderAreTurned) {
  const TemporaryFolder folder;
  const auto result = python(folder, R"(
import sys, torch, zipfile
torch.save({"a": torch.tensor([1.5, -2]), "b": torch.tensor([3, 1 << 40])}, sys.argv[1] + "/little")
with zipfile.ZipFile(sys.argv[1] + "/little") as little, zipfile.ZipFile(sys.argv[1] + "/big", "w") as big:
    for name in little.namelist():
        content = little.read(name)
        if name.endswith("data/0"):
            content = content[3::-1] + content[:3:-1]
        if name.endswith("data/1"):
            content = content[7::-1] + content[:7:-1]
        big.writestr(name, b"big" if name.endswith("byteorder") else content)
)");
  ASSERT_EQ(result.status, 0) << result.output;
  expect_equal(read_weights(folder / "big").tensors,
               {{"a", at::tensor({1.5f, -2.0f})}, {"b", at::tensor({3L, 1L << 40})}});
}

}  // namespace
}  // namespace isnet
