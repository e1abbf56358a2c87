// The real program with weights of Python's, plain sequences and small stems: from training to export.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/safetensors.h"
#include "data/hdf5.h"
#include "support/data.h"
#include "support/program_in_folder.h"
#include "support/python.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Commands : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const SampleLayout layout = small_layout(16, 16);
    write_small_data_set(*folder_ / "data", {{"train", 12}, {"val", 6}, {"test", 6}}, 3, 100, layout);
    write_small_data_set(*folder_ / "five", {{"train", 10}}, 5, 100, layout);
  }
  static void TearDownTestSuite() { delete folder_; }

  static ProgramResult run(const std::vector<std::string>& words) {
    return run_in_folder(folder_->path(), words);
  }
  static ProgramResult train(const std::string& output, const std::vector<std::string>& more) {
    std::vector<std::string> words{"train",        "--data",      "./data",       "--output",
                                   "./" + output,  "--overwrite", "--batch-size", "4",
                                   "--max-epochs", "1",           "--device",     "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static nlohmann::json metrics(const std::string& output) {
    return nlohmann::json::parse(read_file(path(output) + "/metrics.json"));
  }

  static TemporaryFolder* folder_;
};
TemporaryFolder* Commands::folder_ = nullptr;

const std::vector<std::string> small_resnet{"--network", "resnet", "--blocks", "1,1", "--widths", "4,6"};

class PythonWeights : public Commands {
 protected:
  static void SetUpTestSuite() {
    Commands::SetUpTestSuite();
    const auto trained = train("run", small_resnet);
    ASSERT_EQ(trained.status, 0) << trained.output;
    const auto result = python(*folder_, R"(
import sys, torch
from safetensors.torch import load_file
folder = sys.argv[1]
state = load_file(folder + "/run/weights.safetensors")
torch.save(state, folder + "/plain.pth")
torch.save({"epoch": 3, "state_dict": {"module." + name: tensor for name, tensor in state.items()}},
           folder + "/checkpoint.pt", _use_new_zipfile_serialization=False)
torch.save({name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")},
           folder + "/uncounted.pth")
other = dict(state, extra=torch.ones(2))
del other["layer1.0.bn1.bias"]
other["conv1.weight"] = torch.ones(4, 3, 5, 5)
torch.save(other, folder + "/other.pth")
class Harm:
    def __reduce__(self):
        import os
        return os.system, ("touch " + folder + "/ran",)
torch.save({"fc.weight": Harm()}, folder + "/harm.pth")
)");
    ASSERT_EQ(result.status, 0) << result.output;
  }
};

TEST_F(PythonWeights, AreScoredExplainedAndExportedLikeOurs) {
  const std::vector<std::string> ours{
      "evaluate", "--weights", "./run/weights.safetensors", "--data", "./data", "--output", "./of-ours"};
  ASSERT_EQ(run(ours).status, 0);
  for (const char* file : {"plain.pth", "checkpoint.pt"}) {
    const std::vector<std::string> weights = joined({"--weights", std::string("./") + file}, small_resnet);
    const auto scored = run(joined({"evaluate", "--data", "./data", "--output", "./of-python"}, weights));
    ASSERT_EQ(scored.status, 0) << scored.output;
    EXPECT_EQ(metrics("of-python")["test"]["loss"], metrics("of-ours")["test"]["loss"]);
    const bool in_checkpoint = std::string(file) == "checkpoint.pt";
    const auto expect_notes = [&](const std::string& output) {
      const char* note = "checkpoint.pt: the weights are those under 'state_dict'";
      EXPECT_EQ(output.find(note) != std::string::npos, in_checkpoint) << output;
      EXPECT_EQ(output.find("the prefix 'module.' of all names is dropped") != std::string::npos,
                in_checkpoint);
    };
    expect_notes(scored.output);

    const auto explained = run(joined({"explain", "--data", "./data", "--output", "./maps.h5"}, weights));
    ASSERT_EQ(explained.status, 0) << explained.output;
    expect_notes(explained.output);

    const auto exported = run(joined({"export", "--output", "./exported.safetensors"}, weights));
    ASSERT_EQ(exported.status, 0) << exported.output;
    expect_notes(exported.output);
    const safetensors::File written(path("exported.safetensors")), expected(path("run/weights.safetensors"));
    ASSERT_EQ(written.tensors().size(), expected.tensors().size());
    for (const auto& [name, tensor] : expected.tensors())
      EXPECT_EQ(written.tensors().at(name).bytes, tensor.bytes) << name;
  }
}

TEST_F(PythonWeights, MayLackCountersWhichIsSaid) {
  const auto result =
      run(joined({"evaluate", "--data", "./data", "--weights", "./uncounted.pth"}, small_resnet));
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("counters of batch norms"), Not(HasSubstr("warning"))));
}

TEST_F(PythonWeights, StartATrainingOfOtherClassesWithAWarning) {
  const auto result = run(joined({"train", "--data", "./five", "--output", "./five-run", "--batch-size", "5",
                                  "--max-epochs", "1", "--weights", "./checkpoint.pt"},
                                 small_resnet));
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(
      result.output,
      AllOf(HasSubstr("warning"), HasSubstr("all layers but the head were loaded; the head"),
            HasSubstr("fc.weight: 3×6 in the file, 5×6 in the network"),
            HasSubstr("fc.bias: 3 in the file, 5 in the network"), HasSubstr("the prefix 'module.'")));
}

TEST_F(PythonWeights, OfAnotherNetworkAreRefusedWithWhatDiffers) {
  for (const char* command : {"evaluate", "explain", "export", "train"}) {
    std::vector<std::string> words{command,       "--data",   "./data",   "--weights",
                                   "./other.pth", "--output", "./refused"};
    const auto result = run(joined(words, small_resnet));
    EXPECT_EQ(result.status, 3) << command;
    EXPECT_THAT(result.output, AllOf(HasSubstr("other.pth"), HasSubstr("missing: layer1.0.bn1.bias"),
                                     HasSubstr("superfluous: extra"),
                                     HasSubstr("conv1.weight: 4×3×5×5 in the file, 4×3×7×7 in the network")))
        << command;
    EXPECT_FALSE(std::filesystem::exists(path("refused"))) << command;
  }
}

TEST_F(PythonWeights, ThatNameAFunctionAreRefusedWithoutRunningIt) {
  const auto result = run(joined({"evaluate", "--data", "./data", "--weights", "./harm.pth"}, small_resnet));
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.output, AllOf(HasSubstr("harm.pth"), HasSubstr("'posix.system'"),
                                   HasSubstr("torch.save(model.state_dict(), FILE)")));
  EXPECT_FALSE(std::filesystem::exists(path("ran")));
}

TEST_F(PythonWeights, PythonReadsWhatExportWrites) {
  ASSERT_EQ(run({"export", "--checkpoint", "./run/checkpoints/last.ckpt", "--output", "./for-python"}).status,
            0);
  const auto result = python(*folder_, R"(
import sys, torch
from safetensors.torch import load_file
state = load_file(sys.argv[1] + "/for-python")
print(len(state), tuple(state["fc.weight"].shape), tuple(state["layer2.0.downsample.0.weight"].shape))
)");
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr(" (3, 6) (6, 4, 1, 1)"));
}

TEST_F(Commands, ASequenceOfAFileIsTrainedScoredExplainedAndExportedWithoutTheFile) {
  write_file_atomically(path("net.txt"),
                        "conv 6 3x3 pad 1, bn, relu\nmaxpool 2  # halves\nconv 8 3\nrelu, avgpool global\n"
                        "flatten, dropout\nlinear\n");
  const auto trained = train("sequence", {"--network", "sequence", "--layers", "@" + path("net.txt")});
  ASSERT_EQ(trained.status, 0) << trained.output;
  std::filesystem::remove(path("net.txt"));
  EXPECT_THAT(read_file(path("sequence/options.ini")),
              HasSubstr("layers = conv 6 3x3 pad 1, bn, relu, maxpool 2, conv 8 3, relu, avgpool global, "
                        "flatten, dropout, linear\n"));
  const std::vector<std::string> model{"--checkpoint", "./sequence/checkpoints/last.ckpt"};
  EXPECT_EQ(run(joined({"evaluate", "--data", "./data"}, model)).status, 0);
  for (const char* form : {"block", "flex"})
    for (const char* rule : {"zb", "w2", "epsilon"}) {
      const auto result = run(joined({"explain", "--data", "./data", "--output", "./sequence.h5",
                                      "--lrp-form", form, "--first-layer", rule},
                                     model));
      ASSERT_EQ(result.status, 0) << result.output;
      const hdf5::File file = hdf5::File::open(path("sequence.h5"));
      EXPECT_THAT(file.dataset("heatmaps").shape(), ::testing::ElementsAre(6, 3, 3, 16, 16));
    }
  ASSERT_EQ(run(joined({"export", "--output", "./sequence.safetensors"}, model)).status, 0);
  const safetensors::File file(path("sequence.safetensors"));
  EXPECT_EQ(file.tensors().count("features.0.weight"), 1u);
  EXPECT_EQ(file.tensors().count("features.4.bias"), 1u);
  EXPECT_EQ(file.tensors().count("classifier.weight"), 1u);
  EXPECT_EQ(run({"evaluate", "--data", "./data", "--weights", "./sequence.safetensors"}).status, 0);
}

TEST_F(Commands, AMistakeInASequenceIsAUsageErrorOfOneLine) {
  const auto result = train(
      "refused", {"--network", "sequence", "--layers", "conv 6 3, bm, avgpool global, flatten, linear"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output,
              HasSubstr("isnet: error: --layers: features.1, 'bm': unknown layer 'bm'; known: conv, "));
  EXPECT_FALSE(std::filesystem::exists(path("refused")));
}

TEST_F(Commands, ASmallStemStaysWithTheModel) {
  const auto trained = train("small", joined(small_resnet, {"--stem", "small"}));
  ASSERT_EQ(trained.status, 0) << trained.output;
  const auto result = run({"explain", "--checkpoint", "./small/checkpoints/last.ckpt", "--data", "./data",
                           "--output", "./small.h5", "--limit", "2"});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto other = run(joined({"evaluate", "--weights", "./small/weights.safetensors", "--data", "./data"},
                                {"--stem", "imagenet"}));
  EXPECT_EQ(other.status, 3);
  EXPECT_THAT(other.output, HasSubstr("conv1.weight: 4×3×3×3 in the file, 4×3×7×7 in the network"));
}

}  // namespace
}  // namespace isnet
