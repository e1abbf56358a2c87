// Options of DistributedDataParallel in the real program: what each does to a training, and refusals.
#include <gmock/gmock.h>

#include <sstream>

#include "base/safetensors.h"
#include "support/data.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

using Bytes = std::map<std::string, std::string>;

// An ISNet with heatmaps, whose gradients are accumulated over two batches of a rank.
class DdpOptions : public ::testing::Test {
 protected:
  DdpOptions() {
    write_small_data_set(folder_ / "data", {{"train", 36}, {"val", 6}}, 3, 20, small_layout(32, 32));
  }

  ProgramResult trained(int count, const std::string& output, const std::string& more) const {
    std::vector<std::string> command{ISNET_BINARY,     "train",    "--data",
                                     folder_ / "data", "--output", folder_ / output};
    std::istringstream words(
        "--network densenet --growth-rate 4 --blocks 2,2 --init-features 8 --objective isnet --dropout 0 "
        "--batch-size 2 --accumulate-grad-batches 2 --max-epochs 2 --lr 0.01 --backend gloo --device cpu "
        "--quiet 1 " +
        more);
    for (std::string word; words >> word;) command.push_back(word);
    const ProgramOptions options{.timeout = std::chrono::seconds(100),
                                 .environment = {{"OMP_NUM_THREADS", "1"}}};
    return count == 1 ? run_program(command, options) : run_ranks(count, command, options);
  }

  // The tensors of the last checkpoint whose names begin so.
  Bytes last(const std::string& output, const std::string& prefix = "model.") const {
    Bytes bytes;
    const safetensors::File file(folder_ / output / "checkpoints" / "last.ckpt");
    for (const auto& [name, tensor] : file.tensors())
      if (name.rfind(prefix, 0) == 0) bytes[name] = tensor.bytes;
    return bytes;
  }
  Bytes succeeded(int count, const std::string& output, const std::string& more) const {
    const auto result = trained(count, output, more);
    EXPECT_EQ(result.status, 0) << more << result.output;
    return last(output);
  }

  TemporaryFolder folder_;
};

// A sum of two numbers has no order: on two ranks these options change how gradients travel, and no bit.
TEST_F(DdpOptions, ChangeNoBitOfATrainingOnTwoRanks) {
  const Bytes expected = succeeded(2, "plain", "");  // gradients are views of the buckets
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(succeeded(2, "small", "--ddp-bucket-cap-mb 0.002 --ddp-broadcast-buffers 1"), expected);
  EXPECT_EQ(succeeded(2, "copies", "--ddp-gradient-as-bucket-view 0 --ddp-find-unused-parameters 1"),
            expected);
  EXPECT_EQ(succeeded(2, "static", "--ddp-static-graph 1 --ddp-gradient-as-bucket-view 0"), expected);
}

TEST_F(DdpOptions, ACommHookRoundsGradientsOfSeveralRanksOnly) {
  EXPECT_NE(succeeded(2, "fp16", "--ddp-comm-hook fp16"), succeeded(2, "none", "--ddp-comm-hook none"));
  EXPECT_EQ(succeeded(1, "alone16", "--ddp-comm-hook bf16"), succeeded(1, "alone", ""));
}

// On three ranks the plan of the buckets decides the order of sums.
TEST_F(DdpOptions, AResumedRunIsBitwiseTheUninterruptedOneUnderAll) {
  const std::string more =
      "--ddp-comm-hook bf16 --ddp-bucket-cap-mb 0.002 --ddp-gradient-as-bucket-view 1 --ddp-static-graph 1 "
      "--ddp-broadcast-buffers 1 ";
  const Bytes whole = succeeded(3, "whole", more);
  succeeded(3, "parts", more + "--max-epochs 1");
  EXPECT_EQ(succeeded(3, "parts", more + "--resume last"), whole);
  EXPECT_EQ(last("parts", "optimizer."), last("whole", "optimizer."));
}

TEST_F(DdpOptions, AreRefusedWithWhatIsAllowed) {
  const auto refused = [&](const std::string& more, const std::string& message) {
    const auto result = trained(1, "refused", more);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(message));
  };
  refused("--ddp-bucket-cap-mb 0", "--ddp-bucket-cap-mb: '0' is not allowed");
  refused("--ddp-comm-hook fp8", "--ddp-comm-hook: 'fp8' is not allowed");
  refused("--ddp-static-graph maybe", "--ddp-static-graph: 'maybe' is not allowed");
  refused("--ddp-comm-hook bf16 --precision 64",
          "--ddp-comm-hook: 'bf16' is not allowed; allowed with --precision 64: none");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "refused"));
}

}  // namespace
}  // namespace isnet
