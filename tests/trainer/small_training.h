// What tests of options of a training share: one small data set and short runs of `isnet train` on it.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"

namespace isnet::testing {

/// A small data set, and runs on it.
class SmallTraining : public ::testing::Test {
 protected:
  SmallTraining() {
    write_small_data_set(folder_ / "data", {{"train", 64}, {"val", 8}}, 3, 20, small_layout(32, 32));
  }

  std::vector<std::string> command(const std::string& output, const std::string& more) const {
    return train(folder_ / "data", folder_ / output,
                 "--growth-rate 4 --blocks 2 --init-features 4 --objective classifier --batch-size 4 "
                 "--lr 0.01 --quiet 1 " +
                     more);
  }
  void succeed(const std::string& output, const std::string& more, int ranks = 1) const {
    const auto result = run(ranks, command(output, more));
    ASSERT_EQ(result.status, 0) << result.output;
  }
  /// The loss of split val by `isnet evaluate`.
  double evaluated(const std::string& output, const std::string& more) const {
    std::vector<std::string> words{ISNET_BINARY,   "evaluate",
                                   "--checkpoint", (folder_ / output / "checkpoints" / "last.ckpt").string(),
                                   "--data",       (folder_ / "data").string(),
                                   "--split",      "val",
                                   "--output",     (folder_ / "scores").string(),
                                   "--objective",  "classifier"};
    std::istringstream extra(more);
    for (std::string word; extra >> word;) words.push_back(word);
    const auto result = run(1, words);
    EXPECT_EQ(result.status, 0) << result.output;
    return nlohmann::json::parse(text_of(folder_ / "scores" / "metrics.json")).at("val").at("loss");
  }
  StoredCheckpoint last(const std::string& output) const {
    return load_checkpoint(folder_ / output / "checkpoints" / "last.ckpt");
  }

  /// A run of five epochs, and what it becomes when it goes on from its checkpoint after the second epoch,
  /// and from one within the third: all that they leave has to be the same.
  void expect_bitwise_resume(const std::string& more, int ranks = 1) const {
    const std::string options =
        "--batch-size 2 --max-epochs 5 --val-check-interval 0.4 --save-top-k -1 " + more + " ";
    succeed("whole", options, ranks);
    for (const char* start : {"epoch=001-val", "epoch=002-step"}) {
      std::filesystem::path checkpoint;
      for (const auto& entry : std::filesystem::directory_iterator(folder_ / "whole" / "checkpoints"))
        if (entry.path().filename().string().rfind(start, 0) == 0) checkpoint = entry.path();
      ASSERT_FALSE(checkpoint.empty()) << start;
      std::filesystem::remove_all(folder_ / "parts");
      std::filesystem::copy(folder_ / "whole", folder_ / "parts", std::filesystem::copy_options::recursive);
      succeed("parts", options + "--resume " + checkpoint.string(), ranks);
      expect_same_run(folder_ / "whole", folder_ / "parts");
    }
  }

  TemporaryFolder folder_;
};

}  // namespace isnet::testing
