// `isnet train` from outside: golden trajectories, and runs that are stopped, killed and continued.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/files.h"
#include "data/data_set.h"
#include "model/weights.h"
#include "support/data.h"
#include "support/golden.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"
#include "trainer/checkpoint.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

std::string text_of(const std::filesystem::path& file) {
  return read_file(file);
}

// metrics.csv: column → values of the rows of a split.
std::vector<double> column(const std::filesystem::path& file, const std::string& split,
                           const std::string& name) {
  std::istringstream lines(text_of(file));
  const auto fields = [](const std::string& line) {
    std::vector<std::string> result;
    std::istringstream parts(line);
    for (std::string part; std::getline(parts, part, ',');) result.push_back(part);
    return result;
  };
  std::string line;
  std::getline(lines, line);
  const auto header = fields(line);
  const auto place = static_cast<std::size_t>(std::find(header.begin(), header.end(), name) - header.begin());
  std::vector<double> values;
  while (std::getline(lines, line)) {
    const auto row = fields(line);
    if (row.at(2) == split) values.push_back(std::stod(row.at(place)));
  }
  return values;
}

std::vector<std::string> train(const std::filesystem::path& data, const std::filesystem::path& output,
                               std::vector<std::string> more) {
  std::vector<std::string> command{ISNET_BINARY, "train",         "--data",    data.string(),
                                   "--output",   output.string(), "--network", "densenet",
                                   "--backend",  "gloo",          "--device",  "cpu"};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

ProgramResult run(int ranks, const std::vector<std::string>& command, ProgramOptions options = {}) {
  options.timeout = std::chrono::seconds(150);
  options.environment["OMP_NUM_THREADS"] = "1";
  return ranks == 1 ? run_program(command, options) : run_ranks(ranks, command, options);
}

class Trajectory : public ::testing::TestWithParam<int> {};

// The golden images as a shard, the golden weights as safetensors, and the real program on one and on two
// ranks.
TEST_P(Trajectory, EndsAtTheGoldenWeightsStatisticsAndLosses) {
  const hdf5::File file = golden_file("trajectory.h5");
  const TemporaryFolder folder;
  const auto images = file.read<std::uint8_t>("input/images"), masks = file.read<std::uint8_t>("input/masks");
  {
    hdf5::File shard = hdf5::File::create(folder / "all.h5");
    shard.set_attribute<std::string>("format", "isnet-shard");
    shard.set_attribute<std::int64_t>("version", 1);
    shard.write("images", images);
    shard.write("masks", masks);
    shard.write("labels", file.read<std::int64_t>("input/labels"));
    shard.close();
  }
  const auto weights = golden_tensors(file.group("weights"));
  safetensors::write(folder / "start.safetensors", views_of(weights));

  const int ranks = GetParam();
  const auto result = run(ranks, train(folder / "all.h5", folder / "run",
                                       {"--growth-rate",
                                        "4",
                                        "--blocks",
                                        "2,3",
                                        "--init-features",
                                        "8",
                                        "--num-classes",
                                        "3",
                                        "--weights",
                                        folder / "start.safetensors",
                                        "--objective",
                                        "isnet",
                                        "--dropout",
                                        "0",
                                        "--precision",
                                        "64",
                                        "--shuffle",
                                        "0",
                                        "--batch-size",
                                        "4",
                                        "--max-epochs",
                                        "2",
                                        "--optimizer",
                                        "sgd",
                                        "--lr",
                                        "0.01",
                                        "--momentum",
                                        "0.9",
                                        "--lr-schedule",
                                        "constant",
                                        "--recompute-bn-statistics",
                                        "0"}));
  ASSERT_EQ(result.status, 0) << result.output;

  const hdf5::Group world = file.group(cat("world", ranks));
  const StoredCheckpoint last = load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt");
  Worst worst;
  const auto final_tensors = golden_tensors(world.group("final"));
  for (const auto& [name, expected] : final_tensors)
    worst.add(name, relative_difference(last.tensors.at("model." + name), expected, 1e-6));
  EXPECT_LE(worst.value(), 1e-8) << worst.name();

  const at::Tensor losses =
      golden_tensor(world, "losses_total_classification_heatmap").view({2, -1, 3}).mean(1);
  const char* names[] = {"loss", "loss_classification", "loss_heatmap"};
  for (int k = 0; k < 3; ++k) {
    const auto values = column(folder / "run" / "metrics.csv", "train", names[k]);
    ASSERT_EQ(values.size(), 2u);
    for (int epoch = 0; epoch < 2; ++epoch) {
      const double expected = losses[epoch][k].item<double>();
      EXPECT_NEAR(values[static_cast<std::size_t>(epoch)], expected, 1e-8 * std::abs(expected))
          << names[k] << epoch;
    }
  }
  std::cout << ranks << " rank(s): worst of " << final_tensors.size() << " tensors: " << worst.name() << " "
            << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Ranks, Trajectory, ::testing::Values(1, 2),
                         [](const auto& test) { return cat(test.param); });

// A small run with everything random on: order, dropout, stochastic heatmaps.
class Continued : public ::testing::TestWithParam<int> {
 protected:
  Continued() {
    SampleLayout layout = small_layout(32, 33);
    write_small_data_set(folder_ / "data", {{"train", 48}, {"val", 10}}, 3, 20, layout);
  }

  std::vector<std::string> command(const std::string& output, std::vector<std::string> more = {}) const {
    std::vector<std::string> options{"--growth-rate",
                                     "4",
                                     "--blocks",
                                     "2,2",
                                     "--init-features",
                                     "8",
                                     "--objective",
                                     "isnet",
                                     "--heatmaps",
                                     "stochastic",
                                     "--dropout",
                                     "0.3",
                                     "--batch-size",
                                     "4",
                                     "--max-epochs",
                                     "3",
                                     "--optimizer",
                                     "adamw",
                                     "--lr",
                                     "0.003",
                                     "--lr-schedule",
                                     "cosine",
                                     "--gradient-clip-val",
                                     "1",
                                     "--accumulate-grad-batches",
                                     "2",
                                     "--recompute-bn-statistics",
                                     "2",
                                     "--log-every-n-steps",
                                     "1",
                                     "--seed",
                                     "7"};
    options.insert(options.end(), more.begin(), more.end());
    return train(folder_ / "data", folder_ / output, options);
  }

  void expect_same_run(const std::string& one, const std::string& other) const {
    const StoredCheckpoint a = load_checkpoint(folder_ / one / "checkpoints" / "last.ckpt");
    const StoredCheckpoint b = load_checkpoint(folder_ / other / "checkpoints" / "last.ckpt");
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(at::equal(tensor, b.tensors.at(name))) << name;
    EXPECT_EQ(text_of(folder_ / one / "metrics.csv"), text_of(folder_ / other / "metrics.csv"));
    const safetensors::File x(folder_ / one / "weights.safetensors"),
        y(folder_ / other / "weights.safetensors");
    for (const auto& [name, view] : x.tensors()) EXPECT_EQ(view.bytes, y.tensors().at(name).bytes) << name;
  }

  // Sends a signal to every process of the run in `output` as soon as it shows `sign`.
  ProgramResult signalled(const std::string& output, const std::string& sign, const std::string& signal,
                          std::vector<std::string> more = {}) const {
    ProgramOptions options;
    bool sent = false;
    const std::string pattern = (folder_ / output).string();
    options.on_output = [&](const std::string& text) {
      if (sent || text.find(sign) == std::string::npos) return;
      sent = true;
      // Only the ranks: mpirun passes signals on itself, and must not be killed.
      const std::string kill = "pkill -" + signal + " -f '^[^ ]*isnet train .*" + pattern + "( |$)'";
      if (std::system(kill.c_str()) != 0) ADD_FAILURE() << kill;
    };
    const auto result = run(GetParam(), command(output, std::move(more)), options);
    EXPECT_TRUE(sent) << result.output;
    return result;
  }

  TemporaryFolder folder_;
};

TEST_P(Continued, AfterASignalIsBitwiseTheRunThatWasNeverInterrupted) {
  const auto whole = run(GetParam(), command("whole"));
  ASSERT_EQ(whole.status, 0) << whole.output;
  const auto stopped = signalled("parts", "epoch 1: 2/", "USR1");
  EXPECT_EQ(stopped.status, 75) << stopped.output;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "parts" / "weights.safetensors"));
  const auto resumed = run(GetParam(), command("parts", {"--resume", "last"}));
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("resuming from"));
  expect_same_run("whole", "parts");
}

TEST_P(Continued, AfterKillMinusNineIsBitwiseTheRunThatWasNeverInterrupted) {
  const auto whole = run(GetParam(), command("whole"));
  ASSERT_EQ(whole.status, 0) << whole.output;
  const auto killed = signalled("parts", "epoch 1: 3/", "KILL", {"--checkpoint-every-n-steps", "1"});
  EXPECT_NE(killed.status, 0);
  EXPECT_NE(killed.status, 75);
  const auto resumed = run(GetParam(), command("parts", {"--resume", "last"}));
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("resuming from"));
  expect_same_run("whole", "parts");
}

INSTANTIATE_TEST_SUITE_P(Ranks, Continued, ::testing::Values(1, 2),
                         [](const auto& test) { return cat(test.param); });

class TrainRefuses : public ::testing::Test {
 protected:
  TrainRefuses() { write_small_data_set(folder_ / "data", {{"train", 8}}, 2, 20, small_layout(32, 32)); }
  ProgramResult attempt(const std::string& output, std::vector<std::string> more, int ranks = 1) const {
    std::vector<std::string> options{"--growth-rate",   "4", "--blocks",     "2",
                                     "--init-features", "4", "--batch-size", "4",
                                     "--max-epochs",    "1", "--objective",  "classifier"};
    options.insert(options.end(), more.begin(), more.end());
    return run(ranks, train(folder_ / "data", folder_ / output, options));
  }
  TemporaryFolder folder_;
};

TEST_F(TrainRefuses, AFolderThatHoldsARunUnlessToldWhatToDo) {
  ASSERT_EQ(attempt("run", {}).status, 0);
  const std::string before = text_of(folder_ / "run" / "metrics.csv");
  const auto again = attempt("run", {});
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.output, HasSubstr("--resume last"));
  EXPECT_EQ(text_of(folder_ / "run" / "metrics.csv"), before);
  EXPECT_EQ(attempt("run", {"--overwrite"}).status, 0);
}

TEST_F(TrainRefuses, AnotherNetworkOrSeedAtResume) {
  ASSERT_EQ(attempt("run", {}).status, 0);
  const auto other = attempt("run", {"--resume", "last", "--init-features", "8"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.output, HasSubstr("--init-features: '8' does not go with"));
  EXPECT_EQ(attempt("run", {"--resume", "last", "--max-epochs", "2"}).status, 0);
}

TEST_F(TrainRefuses, AMissingCheckpointAndStartsAfreshWithoutAny) {
  const auto missing = attempt("run", {"--resume", (folder_ / "none.ckpt").string()});
  EXPECT_EQ(missing.status, 3);
  EXPECT_THAT(missing.output, HasSubstr("none.ckpt"));
  const auto fresh = attempt("run", {"--resume", "last"});
  EXPECT_EQ(fresh.status, 0) << fresh.output;
  EXPECT_THAT(fresh.output, HasSubstr("starts from the beginning"));
}

TEST_F(TrainRefuses, ACheckpointWithOneByteChangedAndPassesOverIt) {
  ASSERT_EQ(attempt("run", {}).status, 0);
  const auto last = folder_ / "run" / "checkpoints" / "last.ckpt";
  std::string content = text_of(last);
  content[content.size() - 100] = static_cast<char>(content[content.size() - 100] ^ 1);
  write_file_atomically(last, content);
  EXPECT_EQ(attempt("run", {"--resume", last.string()}).status, 3);
  const auto passed_over = attempt("run", {"--resume", "last"});
  EXPECT_EQ(passed_over.status, 0) << passed_over.output;
  EXPECT_THAT(passed_over.output, HasSubstr("last.ckpt"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run" / "checkpoints" / "last.ckpt.broken"));
}

TEST_F(TrainRefuses, DataThatIsMissingOrHasNoMasks) {
  EXPECT_EQ(run(1, train(folder_ / "nowhere", folder_ / "run", {})).status, 3);
  const auto no_images = attempt("run", {"--batch-size", "9"});
  EXPECT_EQ(no_images.status, 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run")) << "a refused run leaves nothing behind";
}

TEST_F(TrainRefuses, RanksWithDifferentOptions) {
  // mpirun's second application context gets another learning rate.
  const auto one =
      train(folder_ / "data", folder_ / "run", {"--objective", "classifier", "--batch-size", "2"});
  std::vector<std::string> command = one;
  command.insert(command.end(), {"--lr", "0.1", ":", "-n", "1"});
  command.insert(command.end(), one.begin(), one.end());
  command.insert(command.end(), {"--lr", "0.2"});
  const auto result = run_ranks(1, command);
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("lr = 0.2"));
}

TEST_F(TrainRefuses, LossesThatAreNotFinite) {
  const auto result = attempt("run", {"--lr", "1e6", "--max-epochs", "20"});
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("not finite"));
}

}  // namespace
}  // namespace isnet
