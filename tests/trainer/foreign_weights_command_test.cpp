// The real program with weights of other programs: torchvision's DenseNet, prefixes of wrappers; and with
// data that have no labels.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/files.h"
#include "base/safetensors.h"
#include "data/hdf5.h"
#include "data/shard_writer.h"
#include "support/data.h"
#include "support/program_in_folder.h"
#include "support/python.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> small_densenet{"--network", "densenet", "--growth-rate",   "4",
                                              "--blocks",  "2,2",      "--init-features", "6"};

// A DenseNet by torchvision's definition, written with torch's functions alone, in float64; and its weights
// under all kinds of names.
constexpr const char* torchvision_densenet = R"(
import sys, torch
import torch.nn.functional as F
from safetensors.torch import save_file
folder, growth, init, blocks, classes = sys.argv[1], 4, 6, (2, 2), 3
torch.manual_seed(3)
state = {}
rand = lambda *shape: torch.rand(*shape, dtype=torch.float64)
def conv(name, out, inputs, kernel):
    state[name + ".weight"] = torch.randn(out, inputs, kernel, kernel, dtype=torch.float64) / (inputs * kernel**2) ** 0.5
def norm(name, n):
    state.update({name + ".weight": rand(n) + 0.5, name + ".bias": rand(n) - 0.5,
                  name + ".running_mean": rand(n) - 0.5, name + ".running_var": rand(n) + 0.5})
conv("features.conv0", init, 3, 7)
norm("features.norm0", init)
n = init
for b, count in enumerate(blocks, 1):
    for l in range(1, count + 1):
        p = f"features.denseblock{b}.denselayer{l}."
        norm(p + "norm1", n); conv(p + "conv1", 4 * growth, n, 1)
        norm(p + "norm2", 4 * growth); conv(p + "conv2", growth, 4 * growth, 3)
        n += growth
    if b < len(blocks):
        norm(f"features.transition{b}.norm", n); conv(f"features.transition{b}.conv", n // 2, n, 1)
        n //= 2
norm("features.norm5", n)
state["classifier.weight"], state["classifier.bias"] = rand(classes, n) - 0.5, rand(classes) - 0.5

def forward(x, s):
    w = lambda name: s[name + ".weight"]
    bn = lambda x, name: F.relu(F.batch_norm(x, s[name + ".running_mean"], s[name + ".running_var"], w(name),
                                             s[name + ".bias"], False, 0, 1e-5))
    x = F.conv2d(x, w("features.conv0"), stride=2, padding=3)
    x = F.max_pool2d(bn(x, "features.norm0"), 3, 2, 1)
    for b, count in enumerate(blocks, 1):
        for l in range(1, count + 1):
            p = f"features.denseblock{b}.denselayer{l}."
            y = F.conv2d(bn(x, p + "norm1"), w(p + "conv1"))
            x = torch.cat([x, F.conv2d(bn(y, p + "norm2"), w(p + "conv2"), padding=1)], 1)
        if b < len(blocks):
            t = f"features.transition{b}."
            x = F.avg_pool2d(F.conv2d(bn(x, t + "norm"), w(t + "conv")), 2, 2)
    return F.linear(bn(x, "features.norm5").mean((2, 3)), w("classifier"), s["classifier.bias"])

pixels = 32 * 32
images = torch.tensor([[(i * 31 + p * 7 + (i >> 3)) % 256 for p in range(pixels)] for i in range(5)],
                      dtype=torch.float64).view(5, 1, 32, 32).expand(-1, 3, -1, -1) / 255
for row in forward(images, state):
    print("logits", *(repr(float(v)) for v in row))

named = lambda prefix: {prefix + k: v for k, v in state.items()}
save = lambda content, name: torch.save(content, f"{folder}/{name}.pth")
save(state, "plain")
save_file(state, folder + "/plain.safetensors")
for name, prefix in [("net", "net."), ("backbone", "backbone."), ("densenet121", "densenet121."), ("ema", "ema."),
                     ("nested", "module.net."), ("deep", "model.encoder.backbone.")]:
    save(named(prefix), name)
save({"n_averaged": torch.tensor(7), **named("module.")}, "averaged")
save({"state_dict": {**named("model."), "criterion.weight": torch.ones(3)}}, "lightning")
save({"epoch": 3, "model_ema": named("module.")}, "model_ema")
save({**named("model."), **named("ema_model.")}, "both")
save({**state, **named("ema.")}, "plain_and_ema")
save({**named("net."), "net.extra": torch.ones(2)}, "extra")
save({k: v for k, v in named("net.").items() if "conv0" not in k}, "cut")
save({"projector." + k: v for k, v in state.items() if "norm" in k}, "other")
save({**{k: v for k, v in named("encoder.").items() if "classifier" not in k}, "head.weight": torch.ones(7, 2)},
     "headless")
)";

class ForeignWeights : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    SampleLayout layout = small_layout(32, 32);
    write_small_data_set(*folder_ / "data", {{"train", 6}, {"val", 3}, {"test", 5}}, 3, 100, layout);
    python_ = python(*folder_, torchvision_densenet);
    std::istringstream words(python_.output);
    for (std::string word; words >> word;)
      if (word == "logits")
        for (int c = 0; c < 3 && words >> word; ++c) expected_.push_back(std::stod(word));
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override {
    ASSERT_EQ(python_.status, 0) << python_.output;
    ASSERT_EQ(expected_.size(), 15u);
  }

  static ProgramResult run(const std::vector<std::string>& words) {
    return run_in_folder(folder_->path(), words);
  }
  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static std::vector<double> logits(const std::string& maps) {
    return hdf5::File::open(path(maps)).read<double>("logits").values;
  }
  static ProgramResult explain(const std::string& weights, const std::vector<std::string>& more = {}) {
    return run(joined(joined({"explain", "--data", "./data", "--precision", "64", "--output", "./maps.h5",
                              "--weights", "./" + weights},
                             small_densenet),
                      more));
  }
  static double largest_difference(const std::vector<double>& values) {
    double largest = values.size() == expected_.size() ? 0 : 1e9;
    for (std::size_t i = 0; i < std::min(values.size(), expected_.size()); ++i)
      largest = std::max(largest, std::abs(values[i] - expected_[i]));
    return largest;
  }

  static TemporaryFolder* folder_;
  static ProgramResult python_;
  static std::vector<double> expected_;
};
TemporaryFolder* ForeignWeights::folder_ = nullptr;
ProgramResult ForeignWeights::python_;
std::vector<double> ForeignWeights::expected_;

constexpr const char* taken_as_plain = "taken as torchvision's DenseNet, without a ReLU in transitions";

TEST_F(ForeignWeights, OfADenseNetHaveTorchvisionsLogits) {
  const auto result = explain("plain.pth");
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr(taken_as_plain));
  EXPECT_LE(largest_difference(logits("maps.h5")), 1e-12);
  const auto chosen = explain("plain.safetensors", {"--transition-relu", "0"});
  ASSERT_EQ(chosen.status, 0) << chosen.output;
  EXPECT_LE(largest_difference(logits("maps.h5")), 1e-12);
  // torchvision has no network of this size: a file that may be anybody's is taken as the papers' network.
  const auto other = explain("plain.safetensors");
  ASSERT_EQ(other.status, 0) << other.output;
  EXPECT_THAT(other.output, HasSubstr("with a ReLU in transitions (--transition-relu 0"));
  EXPECT_GT(largest_difference(logits("maps.h5")), 1e-3);
  const auto asked = explain("plain.pth", {"--transition-relu", "1"});
  ASSERT_EQ(asked.status, 0) << asked.output;
  EXPECT_THAT(asked.output, Not(HasSubstr("torchvision")));
  EXPECT_GT(largest_difference(logits("maps.h5")), 1e-3);
}

TEST_F(ForeignWeights, OfADenseNetStayThePlainVariantThroughTrainingAndExport) {
  const auto trained =
      run(joined({"train", "--data", "./data", "--output", "./tuned", "--weights", "./plain.pth", "--freeze",
                  "backbone", "--objective", "classifier", "--max-epochs", "1", "--batch-size", "3",
                  "--precision", "64", "--device", "cpu"},
                 small_densenet));
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr(taken_as_plain));
  EXPECT_THAT(read_file(path("tuned/options.ini")), HasSubstr("transition-relu = 0\n"));
  const safetensors::File written(path("tuned/weights.safetensors"));
  EXPECT_THAT(written.metadata().at("isnet.options"), HasSubstr("transition-relu = 0\n"));
  EXPECT_EQ(written.metadata().at("isnet.task"), "single-label");
  const auto exported = run({"export", "--checkpoint", "./tuned/checkpoints/last.ckpt", "--output", "./out"});
  ASSERT_EQ(exported.status, 0) << exported.output;
  EXPECT_THAT(exported.output, Not(HasSubstr("ReLU")));
  const auto again =
      run(joined({"train", "--data", "./data", "--output", "./again", "--weights", "./tuned/weights.safetensors",
                  "--objective", "classifier", "--max-epochs", "1", "--batch-size", "3", "--device", "cpu"},
                 small_densenet));
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_THAT(read_file(path("again/options.ini")), HasSubstr("transition-relu = 0\n"));
  for (const char* weights : {"./out", "./tuned/weights.safetensors"}) {
    const auto result = run({"evaluate", "--data", "./data", "--weights", weights});
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, Not(HasSubstr("torchvision")));
  }
}

TEST_F(ForeignWeights, OursSayAtExportThatTorchvisionComputesOtherLogits) {
  const auto trained = run(joined({"train", "--data", "./data", "--output", "./ours", "--objective",
                                   "classifier", "--max-epochs", "1", "--batch-size", "3", "--device", "cpu"},
                                  small_densenet));
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_THAT(read_file(path("ours/options.ini")), HasSubstr("transition-relu = 1\n"));
  const auto exported = run({"export", "--checkpoint", "./ours/checkpoints/last.ckpt", "--output", "./with"});
  ASSERT_EQ(exported.status, 0) << exported.output;
  EXPECT_THAT(exported.output, HasSubstr("has a ReLU in its transitions (--transition-relu 1)"));
  const auto resumed = run(
      joined({"train", "--data", "./data", "--output", "./ours", "--objective", "classifier", "--max-epochs",
              "2", "--batch-size", "3", "--device", "cpu", "--resume", "last", "--transition-relu", "0"},
             small_densenet));
  EXPECT_EQ(resumed.status, 2);
  EXPECT_THAT(resumed.output, HasSubstr("--transition-relu: '0' does not go with"));
}

TEST_F(ForeignWeights, LoseAnyPrefixWithoutWhichTheyFit) {
  for (const auto& [file, note] : {std::pair{"net.pth", "the prefix 'net.' of all names is dropped"},
                                   {"backbone.pth", "the prefix 'backbone.' of all names is dropped"},
                                   {"densenet121.pth", "the prefix 'densenet121.' of all names is dropped"},
                                   {"ema.pth", "the prefix 'ema.' of all names is dropped"},
                                   {"nested.pth", "the prefix 'net.' of all names is dropped"},
                                   {"deep.pth", "the prefix 'encoder.backbone.' of all names is dropped"},
                                   {"averaged.pth", "is dropped; left over: n_averaged"},
                                   {"lightning.pth", "is dropped; left over: criterion.weight"},
                                   {"model_ema.pth", "the weights are those under 'model_ema'"}}) {
    const auto result = explain(file);
    ASSERT_EQ(result.status, 0) << file << result.output;
    EXPECT_THAT(result.output, HasSubstr(note));
    EXPECT_LE(largest_difference(logits("maps.h5")), 1e-12) << file;
    const auto scored =
        run(joined({"evaluate", "--data", "./data", "--weights", std::string("./") + file}, small_densenet));
    EXPECT_EQ(scored.status, 0) << scored.output;
    EXPECT_THAT(scored.output, HasSubstr(note));
  }
  const auto headless =
      run(joined({"train", "--data", "./data", "--output", "./headless", "--weights", "./headless.pth",
                  "--objective", "classifier", "--max-epochs", "1", "--batch-size", "3", "--device", "cpu"},
                 small_densenet));
  ASSERT_EQ(headless.status, 0) << headless.output;
  EXPECT_THAT(headless.output, AllOf(HasSubstr("left over: head.weight"),
                                     HasSubstr("all layers but the head were loaded; the head")));
}

TEST_F(ForeignWeights, ThatFitTwiceOrNotAtAllAreRefusedWithTheirNames) {
  for (const auto& [file, message] : {std::pair{"both.pth", "more than once: 'model.' and 'ema_model.'"},
                                      {"plain_and_ema.pth", "more than once: without a prefix and 'ema.'"},
                                      {"extra.pth", "net.extra"},
                                      {"cut.pth", "missing: classifier.bias"},
                                      {"other.pth", "no classifying layer"}}) {
    const auto result = explain(file);
    EXPECT_EQ(result.status, 3) << file;
    EXPECT_THAT(result.output, AllOf(HasSubstr(file), HasSubstr(message)));
  }
  EXPECT_THAT(explain("other.pth").output, HasSubstr("its tensors: projector.features.denseblock1"));
}

TEST_F(ForeignWeights, OfAnotherNetworkAreRefusedWithTheOneTheyLookLike) {
  for (const char* command : {"evaluate", "train"}) {
    const auto result = run({command, "--data", "./data", "--output", "./other", "--weights", "./plain.safetensors",
                             "--network", "resnet18"});
    EXPECT_EQ(result.status, 3) << command;
    EXPECT_THAT(result.output, HasSubstr("they look like --network densenet --growth-rate 4 --blocks 2,2 "
                                         "--init-features 6"));
  }
}

TEST_F(ForeignWeights, OfNetworksOfTorchvisionBringTheHintToNormalise) {
  const std::vector<std::string> command{"evaluate", "--data", "./data", "--weights", "./plain.safetensors"};
  const auto resnet = run(joined(command, {"--network", "resnet18"}));
  EXPECT_THAT(resnet.output, HasSubstr("use --normalize imagenet"));
  const auto normalised = run(joined(command, {"--network", "resnet18", "--normalize", "imagenet"}));
  EXPECT_THAT(normalised.output, Not(HasSubstr("use --normalize imagenet")));
  EXPECT_THAT(run(joined(command, small_densenet)).output, Not(HasSubstr("use --normalize imagenet")));
}

TEST_F(ForeignWeights, AndCheckpointsAreToldApart) {
  const auto weights =
      run({"explain", "--data", "./data", "--output", "./x.h5", "--checkpoint", "./net.pth"});
  EXPECT_EQ(weights.status, 3);
  EXPECT_THAT(weights.output, AllOf(HasSubstr("net.pth"), HasSubstr("give the file to --weights")));
}

// A data set without labels, of the images of split test.
void write_unlabelled(const std::filesystem::path& folder, bool shard_alone) {
  SampleLayout layout = small_layout(32, 32);
  layout.labels = LabelKind::none;
  layout.mask_channels = 0;
  const auto name = shard_alone ? folder : folder / "test" / "a.h5";
  std::filesystem::create_directories(name.parent_path());
  ShardWriter writer(name, 5, layout);
  std::vector<std::uint8_t> images;
  for (std::int64_t i = 0; i < 5; ++i)
    for (std::int64_t p = 0; p < layout.pixels(); ++p) images.push_back(small_pixel(i, p));
  writer.write_images(0, 5, images.data());
  writer.commit();
  if (shard_alone) return;
  DataSetDescription description;
  description.task = LabelKind::none;
  description.height = description.width = 32;
  description.splits["test"] = {{"test/a.h5", 5, sha256_of_file(name)}};
  write_description(folder, description);
}

TEST_F(ForeignWeights, PredictAndExplainDataWithoutLabels) {
  write_unlabelled(*folder_ / "unlabelled", false);
  write_unlabelled(*folder_ / "shard.h5", true);
  const std::vector<std::string> weights = joined({"--weights", "./plain.pth"}, small_densenet);
  ASSERT_EQ(run(joined({"predict", "--data", "./data", "--output", "./labelled.csv"}, weights)).status, 0);
  for (const char* data : {"./unlabelled", "./shard.h5"}) {
    const auto predicted =
        run(joined({"predict", "--data", data, "--output", "./p.csv", "--precision", "64"}, weights));
    ASSERT_EQ(predicted.status, 0) << predicted.output;
    std::istringstream lines(read_file(path("p.csv")));
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "id,prediction,0,1,2");
    for (std::size_t i = 0; i < 5; ++i) {
      double sum = 0;
      for (std::size_t c = 0; c < 3; ++c) sum += std::exp(expected_[3 * i + c]);
      ASSERT_TRUE(std::getline(lines, line));
      const double first = std::stod(line.substr(line.find(',', line.find(',') + 1) + 1));
      EXPECT_NEAR(first, std::exp(expected_[3 * i]) / sum, 1e-12);
    }
    const auto several = run(joined(
        {"predict", "--data", data, "--output", "./p.csv", "--precision", "64", "--probabilities", "sigmoid"},
        weights));
    ASSERT_EQ(several.status, 0) << several.output;
    const auto explained = run(joined(
        {"explain", "--data", data, "--output", "./maps.h5", "--pictures", "./panels", "--precision", "64"},
        weights));
    ASSERT_EQ(explained.status, 0) << explained.output;
    EXPECT_LE(largest_difference(logits("maps.h5")), 1e-12);
  }
  const auto other =
      run(joined({"predict", "--data", "./unlabelled", "--split", "train", "--output", "./p.csv"}, weights));
  EXPECT_EQ(other.status, 3) << other.output;
  const auto scored = run(joined({"evaluate", "--data", "./unlabelled"}, weights));
  EXPECT_EQ(scored.status, 3);
  EXPECT_THAT(scored.output, HasSubstr("has no labels; evaluate needs them"));
}

// A model trained on samples of several classes, and by their labels' maps.
TEST_F(ForeignWeights, WhatAModelWasTrainedOnIsKnownWhereDataHaveNoLabels) {
  write_unlabelled(*folder_ / "unlabelled", false);
  SampleLayout layout = small_layout(32, 32);
  layout.labels = LabelKind::multi;
  layout.label_classes = 3;
  ShardWriter writer(*folder_ / "multi.h5", 4, layout);
  std::vector<std::uint8_t> images(4 * 1024, 100), masks(4 * 1024, 255);
  std::fill(masks.begin(), masks.begin() + 512, 0);
  writer.write_images(0, 4, images.data());
  writer.write_masks(0, 4, masks.data());
  const std::vector<std::uint8_t> labels{1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1};
  writer.write_multi_labels(0, 4, labels.data());
  writer.commit();
  const auto trained = run(joined({"train", "--data", "./multi.h5", "--output", "./multi", "--heatmaps",
                                   "label", "--max-epochs", "1", "--batch-size", "2", "--device", "cpu"},
                                  small_densenet));
  ASSERT_EQ(trained.status, 0) << trained.output;
  for (const auto& model : {std::vector<std::string>{"--checkpoint", "./multi/checkpoints/last.ckpt"},
                            {"--weights", "./multi/weights.safetensors"}}) {
    const auto predicted =
        run(joined({"predict", "--data", "./unlabelled", "--output", "./p.csv", "--precision", "64"}, model));
    ASSERT_EQ(predicted.status, 0) << predicted.output;
    const auto explained = run(
        joined({"explain", "--data", "./unlabelled", "--output", "./maps.h5", "--precision", "64"}, model));
    ASSERT_EQ(explained.status, 0) << explained.output;
    EXPECT_THAT(explained.output, HasSubstr("the data have no labels"));
    std::istringstream lines(read_file(path("p.csv")));
    std::string line;
    std::getline(lines, line);
    std::getline(lines, line);
    const double logit = logits("maps.h5")[2];
    EXPECT_NEAR(std::stod(line.substr(line.rfind(',') + 1)), 1 / (1 + std::exp(-logit)), 1e-12) << line;
  }
}

TEST_F(ForeignWeights, HaveNoDropoutByDefaultWherePublishedCodeHasNone) {
  const auto dropout = [](const std::vector<std::string>& options) {
    const auto result =
        run(joined({"train", "--data", "./data", "--output", "./dropout", "--overwrite", "--max-epochs", "1",
                    "--limit-train-batches", "1", "--batch-size", "3", "--device", "cpu"},
                   options));
    EXPECT_EQ(result.status, 0) << result.output;
    const std::string ini = read_file(path("dropout/options.ini"));
    const auto at = ini.find("\ndropout = ");
    return at == std::string::npos ? std::string("none")
                                   : ini.substr(at + 11, ini.find('\n', at + 1) - at - 11);
  };
  EXPECT_EQ(dropout({"--network", "ag-sononet", "--feature-scale", "16"}), "0");
  EXPECT_EQ(dropout(joined({"--objective", "rrr", "--heatmap-weight", "40"}, small_densenet)), "0");
  EXPECT_EQ(dropout(joined({"--objective", "gradient-x-input"}, small_densenet)), "0");
  EXPECT_EQ(dropout(small_densenet), "0.5");
}

}  // namespace
}  // namespace isnet
