// A small trained network, and commands on it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/data.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet::testing {

using Json = nlohmann::json;

/// One run of a very small ISNet, and what comes of it.
class TrainedModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const SampleLayout layout = small_layout(32, 32);
    write_small_data_set(*folder_ / "data", {{"train", 12}, {"val", 6}, {"test", 7}, {"test-unbiased", 5}}, 3,
                         20, layout);
    write_small_data_set(*folder_ / "many", {{"test", 21}}, 21, 100, layout);
    trained_ = run_isnet({"train", "--data", "data", "--output", "run", "--network", "densenet",
                          "--growth-rate", "4", "--blocks", "2", "--init-features", "4", "--batch-size", "4",
                          "--max-epochs", "1", "--device", "cpu"});
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override { ASSERT_EQ(trained_.status, 0) << trained_.output; }

  static std::string path(const std::string& name) { return (*folder_ / name).string(); }

  // Words after options of files and folders are names in the test's folder.
  static ProgramResult run_isnet(std::vector<std::string> words, int ranks = 1) {
    words.insert(words.begin(), ISNET_BINARY);
    for (std::size_t i = 1; i < words.size(); ++i)
      for (const char* option : {"--data", "--output", "--checkpoint", "--weights", "--pictures",
                                 "--predictions", "--validation-predictions", "--attributes"})
        if (words[i - 1] == option) words[i] = path(words[i]);
    ProgramOptions options;
    options.environment["OMP_NUM_THREADS"] = "1";
    return ranks == 1 ? run_program(words, options) : run_ranks(ranks, words, options);
  }
  static ProgramResult evaluate(std::vector<std::string> more, int ranks = 1) {
    std::vector<std::string> words{"evaluate", "--checkpoint", "run/checkpoints/last.ckpt", "--data", "data"};
    words.insert(words.end(), more.begin(), more.end());
    return run_isnet(words, ranks);
  }
  static Json metrics(const std::string& output) {
    return Json::parse(read_file(path(output) + "/metrics.json"));
  }

  static inline TemporaryFolder* folder_ = nullptr;
  static inline ProgramResult trained_;
};

}  // namespace isnet::testing
