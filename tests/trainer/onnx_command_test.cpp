// The real program with networks of ONNX files: training, resuming and scoring, also once the file is gone.
#include <gmock/gmock.h>

#include <filesystem>

#include "base/files.h"
#include "base/safetensors.h"
#include "data/hdf5.h"
#include "support/data.h"
#include "support/program_in_folder.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

class OnnxCommands : public ::testing::Test {
 protected:
  OnnxCommands() {
    write_small_data_set(folder_ / "data", {{"train", 8}, {"val", 4}, {"test", 4}}, 3, 100, small_layout(32, 32));
    write_small_data_set(folder_ / "five", {{"train", 10}}, 5, 100, small_layout(32, 32));
    std::filesystem::copy_file(file_of("resnet18"), folder_ / "net.onnx");
  }
  static std::filesystem::path file_of(const std::string& name) {
    return std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "onnx" / (name + ".onnx");
  }
  ProgramResult run(const std::vector<std::string>& words) { return run_in_folder(folder_.path(), words); }
  std::vector<std::string> train(const std::string& data, const std::string& output) const {
    return {"train", "--data", "./" + data, "--output", "./" + output, "--batch-size", "4", "--device", "cpu"};
  }
  safetensors::File weights(const std::string& output) const {
    return safetensors::File(folder_ / output / "weights.safetensors");
  }
  const std::vector<std::string> network_{"--network", "onnx", "--model", "./net.onnx"};
  TemporaryFolder folder_;
};

TEST_F(OnnxCommands, ARunNeedsItsFileAtTheBeginningOnly) {
  const auto whole = run(joined(joined(train("data", "whole"), network_), {"--max-epochs", "2"}));
  ASSERT_EQ(whole.status, 0) << whole.output;
  const auto begun = run(joined(joined(train("data", "run"), network_), {"--max-epochs", "1"}));
  ASSERT_EQ(begun.status, 0) << begun.output;
  std::filesystem::remove(folder_ / "net.onnx");
  const auto resumed =
      run(joined(train("data", "run"), {"--config", "./run/options.ini", "--resume", "last", "--max-epochs", "2"}));
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  const safetensors::File uninterrupted = weights("whole");
  for (const auto& [name, tensor] : uninterrupted.tensors())
    EXPECT_EQ(weights("run").tensors().at(name).bytes, tensor.bytes) << name;
  EXPECT_EQ(weights("run").tensors().count("layer1.0.conv1.weight"), 1U);

  for (const char* command : {"evaluate", "explain", "predict"}) {
    const auto result = run({command, "--checkpoint", "./run", "--data", "./data", "--device", "cpu", "--output",
                             cat("./", command, std::string(command) == "explain" ? ".h5" : "")});
    EXPECT_EQ(result.status, 0) << result.output;
  }
  const auto other = run(joined(train("data", "other"), {"--config", "./run/options.ini"}));
  EXPECT_EQ(other.status, 2) << other.output;
  EXPECT_THAT(other.output, HasSubstr("--model: there is neither the file"));
}

TEST_F(OnnxCommands, TheFilesWeightsAreScoredAsTheyAre) {
  const auto scored =
      run({"evaluate", "--weights", "./net.onnx", "--data", "./data", "--device", "cpu", "--output", "./scores"});
  EXPECT_EQ(scored.status, 0) << scored.output;
}

TEST_F(OnnxCommands, AHeadOfOtherClassesIsMadeAnew) {
  const auto trained = run(joined(joined(train("five", "run"), network_),
                                  {"--max-epochs", "1", "--objective", "classifier", "--freeze", "backbone"}));
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("all layers but the head were loaded; the head (3 classes in the file, 5 here)"));
  EXPECT_EQ(weights("run").tensors().at("fc.weight").shape[0], 5);
}

TEST_F(OnnxCommands, TwoRanksTrainAsOne) {
  const auto words = joined(joined(train("data", "two"), network_), {"--max-epochs", "1", "--backend", "gloo"});
  std::vector<std::string> command{ISNET_BINARY};
  for (const auto& word : words) command.push_back(word.rfind("./", 0) == 0 ? (folder_ / word.substr(2)).string() : word);
  command[command.size() - 1] = "gloo";
  ProgramOptions options;
  options.timeout = std::chrono::seconds(150);
  options.environment["OMP_NUM_THREADS"] = "1";
  const auto result = run_ranks(2, command, options);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(weights("two").tensors().count("fc.weight"), 1U);
}

TEST_F(OnnxCommands, WhatIsNoClassifierOfOnnxIsRefusedInOneLine) {
  write_file_atomically(folder_ / "cut.onnx", read_file(folder_ / "net.onnx").substr(0, 30'000));
  const auto cut = run(joined(train("data", "run"), {"--network", "onnx", "--model", "./cut.onnx"}));
  EXPECT_EQ(cut.status, 3) << cut.output;
  EXPECT_THAT(cut.output, AllOf(HasSubstr("cut.onnx: "), HasSubstr("no ONNX file, or it is cut")));
  const auto missing = run(joined(train("data", "run"), {"--network", "onnx"}));
  EXPECT_EQ(missing.status, 2) << missing.output;
  EXPECT_THAT(missing.output, HasSubstr("--model: is required by --network onnx"));
  const auto other = run(joined(train("data", "run"), {"--network", "resnet18", "--model", "./net.onnx"}));
  EXPECT_EQ(other.status, 2) << other.output;
  EXPECT_THAT(other.output, HasSubstr("--model: is not allowed with --network resnet18"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

}  // namespace
}  // namespace isnet
