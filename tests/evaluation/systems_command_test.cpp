// Networks and objectives besides DenseNet and ISNet from outside: trained, scored and explained by commands,
// on one rank and on two.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "data/hdf5.h"
#include "data/shard_writer.h"
#include "support/data.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t side = 32;

// Several labels a sample, a mask for each class, the normal class among them ("No Finding", the second).
void write_findings(const std::filesystem::path& folder) {
  constexpr std::int64_t classes = 3;
  SampleLayout layout = small_layout(side, side);
  layout.labels = LabelKind::multi;
  layout.label_classes = layout.mask_channels = classes;
  layout.masks_per_class = true;
  DataSetDescription description;
  description.task = LabelKind::multi;
  description.class_names = {"effusion", "No Finding", "nodule"};
  description.channels = 1;
  description.height = description.width = side;
  for (const auto& [split, samples] : {std::pair{"train", 7}, {"val", 4}, {"test", 5}}) {
    std::filesystem::create_directories(folder / split);
    const std::string name = cat(split, "/shard-00000.h5");
    ShardWriter writer(folder / name, samples, layout);
    for (std::int64_t i = 0; i < samples; ++i) {
      std::vector<std::uint8_t> image, masks;
      for (std::int64_t p = 0; p < layout.pixels(); ++p) image.push_back(small_pixel(i, p));
      std::vector<std::uint8_t> labels{i % 2 == 0, i % 4 == 1, i % 3 == 0};
      for (std::int64_t k = 0; k < classes; ++k)
        for (std::int64_t p = 0; p < layout.pixels(); ++p)
          masks.push_back(labels[static_cast<std::size_t>(k)] ? small_mask(p, layout.pixels()) : 0);
      writer.write_images(i, 1, image.data());
      writer.write_masks(i, 1, masks.data());
      writer.write_multi_labels(i, 1, labels.data());
    }
    writer.commit();
    description.splits[split] = {{name, samples, sha256_of_file(folder / name)}};
  }
  write_description(folder, description);
}

struct System {
  const char *name, *data, *options;
  std::vector<const char*> losses;
  int maps;               // of an image; 0: one map of no class
  bool validated = true;  // losses of validation can be compared
};

void PrintTo(const System& system, std::ostream* out) {
  *out << system.name;
}

class Systems : public ::testing::TestWithParam<System> {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const SampleLayout layout = small_layout(side, side);
    write_small_data_set(*folder_ / "single", {{"train", 8}, {"val", 4}, {"test", 5}}, 3, 1000, layout);
    write_findings(*folder_ / "findings");
  }
  static void TearDownTestSuite() { delete folder_; }

  static ProgramResult isnet(const std::string& line, int ranks = 1) {
    std::vector<std::string> command{ISNET_BINARY};
    std::istringstream words(line);
    for (std::string word; words >> word;)
      command.push_back(word.rfind("@", 0) == 0 ? (*folder_ / word.substr(1)).string() : word);
    ProgramOptions options;
    options.timeout = std::chrono::seconds(150);
    options.environment["OMP_NUM_THREADS"] = "1";
    return ranks == 1 ? run_program(command, options) : run_ranks(ranks, command, options);
  }
  static ProgramResult train(const System& system, const std::string& run, int ranks) {
    return isnet(cat("train --data @", system.data, " --output @", run, " --device cpu --backend gloo ",
                     "--batch-size ", 4 / ranks, " --max-epochs 1 --recompute-bn-statistics 0 ",
                     "--model-summary 0 ", system.options),
                 ranks);
  }
  static TemporaryFolder* folder_;
};
TemporaryFolder* Systems::folder_ = nullptr;

TEST_P(Systems, AreTrainedScoredAndExplained) {
  const System& system = GetParam();
  const auto trained = train(system, system.name, 1);
  ASSERT_EQ(trained.status, 0) << trained.output;
  const std::string run = cat("@", system.name);
  const auto scored = isnet(cat("evaluate --checkpoint ", run, "/checkpoints/last.ckpt --data @", system.data,
                                " --split test --batch-size 5 --output ", run, "-scores"));
  ASSERT_EQ(scored.status, 0) << scored.output;
  const auto json = nlohmann::json::parse(read_file(*folder_ / cat(system.name, "-scores") / "metrics.json"));
  for (const char* loss : system.losses) {
    ASSERT_TRUE(json.at("test").contains(loss)) << loss << " " << json.dump();
    EXPECT_TRUE(json.at("test").at(loss).is_number()) << loss;
  }
  const auto explained =
      isnet(cat("explain --weights ", run, "/weights.safetensors --data @", system.data, " --output ", run,
                "-maps.h5 --pictures ", run, "-panels --pictures-limit 2 --attention-maps 1"));
  ASSERT_EQ(explained.status, 0) << explained.output;
  const hdf5::File file = hdf5::File::open(*folder_ / cat(system.name, "-maps.h5"));
  EXPECT_THAT(file.dataset("heatmaps").shape(), ElementsAre(5, std::max(system.maps, 1), 3, side, side));
  EXPECT_THAT(file.dataset("logits").shape(), ElementsAre(5, 3));
  const auto values = file.read<float>("heatmaps").values;
  double sum = 0;
  for (const float value : values) {
    ASSERT_TRUE(std::isfinite(value));
    sum += std::abs(value);
  }
  EXPECT_GT(sum, 0);
  if (system.maps == 0) {
    EXPECT_THAT(file.read<std::int64_t>("map_class").values, ::testing::Each(-1));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(*folder_ / cat(system.name, "-panels")), {}),
            2);
}

TEST_P(Systems, TrainOnTwoRanks) {
  const auto trained = train(GetParam(), cat(GetParam().name, "-two"), 2);
  EXPECT_EQ(trained.status, 0) << trained.output;
}

INSTANTIATE_TEST_SUITE_P(
    All, Systems,
    ::testing::Values(
        System{"rrr",
               "single",
               "--objective rrr --network resnet --blocks 1,1 --widths 4,6",
               {"loss_classification", "loss_heatmap"},
               3},
        System{"gradient",
               "single",
               "--objective gradient-x-input --network vgg --layers 4,M,6,M --batch-norm 1 --pool 2,2 "
               "--hidden 8",
               {"loss_classification", "loss_heatmap"},
               3},
        System{"gain",
               "findings",
               "--objective gain --network densenet --growth-rate 4 --blocks 2,2 --init-features 8",
               {"loss_classification", "loss_attention_mining", "loss_extra"},
               3},
        System{"sononet",
               "single",
               "--objective isnet --network ag-sononet --feature-scale 16 --aggregation mean",
               {"loss_classification", "loss_heatmap"},
               3},
        System{"vit",
               "single",
               "--objective classifier --network vit --image-size 32 --patch-size 8 --hidden-dim 12 "
               "--encoder-layers 2 --mlp-dim 16",
               {"loss_classification"},
               0},
        System{"ham",
               "findings",
               "--objective ham --network ham --ham-backbone resnet --blocks 1,1,1,1 --widths 4,6,8,10",
               {"loss_classification", "loss_anomaly", "loss_bound", "loss_union", "loss_supervision"},
               3}),
    [](const auto& test) { return std::string(test.param.name); });

// With batch statistics over all ranks, the losses of two epochs on one rank and on two are the same: input
// gradients pass through statistics of other ranks' images, denominators count their labels and masks.
class Ranks : public Systems {};

// Of two lines of metrics.csv; how many there are.
int expect_same_numbers(const std::string& one, const std::string& two) {
  std::istringstream fields(one), others(two);
  std::string left, right;
  int numbers = 0;
  while (std::getline(fields, left, ',') && std::getline(others, right, ',')) {
    char* end = nullptr;
    const double value = std::strtod(left.c_str(), &end);
    if (end == left.c_str()) {
      EXPECT_EQ(left, right);
      continue;
    }
    ++numbers;
    EXPECT_NEAR(std::strtod(right.c_str(), nullptr), value, 1e-10 * std::max(1.0, std::abs(value)))
        << one << "\n"
        << two;
  }
  return numbers;
}

TEST_P(Ranks, TrainAsOneRankDoes) {
  const System& system = GetParam();
  std::vector<std::string> metrics;
  for (const int ranks : {1, 2}) {
    const std::string run = cat(system.name, "-on-", ranks);
    const auto trained =
        isnet(cat("train --data @", system.data, " --output @", run,
                  " --device cpu --backend gloo --precision 64 --sync-batchnorm 1 --shuffle 0 "
                  "--max-epochs 2 --lr 0.01 --recompute-bn-statistics 0 --batch-size ",
                  4 / ranks, " --last-batch short --model-summary 0 ", system.options),
              ranks);
    ASSERT_EQ(trained.status, 0) << trained.output;
    metrics.push_back(read_file(*folder_ / run / "metrics.csv"));
  }
  std::istringstream one(metrics[0]), two(metrics[1]);
  std::string left, right;
  int compared = 0;
  while (std::getline(one, left) && std::getline(two, right)) {
    if (!system.validated && left.find(",val,") != std::string::npos) continue;
    compared += expect_same_numbers(left, right);
  }
  EXPECT_GT(compared, 8);
}

INSTANTIATE_TEST_SUITE_P(
    All, Ranks,
    ::testing::Values(
        System{"rrr", "single", "--objective rrr --network resnet --blocks 1,1 --widths 4,6", {}, 0},
        System{
            "gradient",
            "single",
            "--objective gradient-x-input --network densenet --growth-rate 4 --blocks 2,2 --init-features 8",
            {},
            0,
            false},  // running statistics of four steps: losses of 1e303 in evaluation mode
        System{"gain", "single", "--objective gain --network resnet --blocks 1,1 --widths 4,6", {}, 0},
        System{"labels", "findings", "--objective gain --network resnet --blocks 1,1 --widths 4,6", {}, 0},
        System{"ham",
               "findings",
               "--objective ham --network ham --ham-backbone resnet --blocks 1,1,1,1 --widths 4,6,8,10",
               {},
               0}),
    [](const auto& test) { return std::string(test.param.name); });

// Scores of a split, by batches of any size and on any number of ranks.
TEST_F(Ranks, EvaluateAnySplitTheSame) {
  for (const char* system :
       {"--objective gain --network resnet --blocks 1,1 --widths 4,6",
        "--objective ham --network ham --ham-backbone resnet --blocks 1,1,1,1 --widths 4,6,8,10"}) {
    const auto trained =
        isnet(cat("train --data @findings --output @judged --overwrite --device cpu --precision 64 ",
                  "--batch-size 4 --max-epochs 1 --model-summary 0 ", system));
    ASSERT_EQ(trained.status, 0) << trained.output;
    std::vector<nlohmann::json> scores;
    for (const auto& [size, ranks] : {std::pair{5, 1}, {1, 1}, {2, 2}, {1, 2}}) {
      const auto scored =
          isnet(cat("evaluate --checkpoint @judged/checkpoints/last.ckpt --data @findings --split test ",
                    "--output @judged/scores --backend gloo --batch-size ", size),
                ranks);
      ASSERT_EQ(scored.status, 0) << scored.output;
      scores.push_back(nlohmann::json::parse(read_file(*folder_ / "judged/scores/metrics.json")).at("test"));
    }
    int compared = 0;
    for (const auto& [name, value] : scores.front().items())
      for (std::size_t i = 1; name.rfind("loss", 0) == 0 && i < scores.size(); ++i, ++compared)
        EXPECT_NEAR(scores[i].at(name).get<double>(), value.get<double>(),
                    1e-10 * std::max(1.0, std::abs(value.get<double>())))
            << name << " " << i;
    EXPECT_GE(compared, 4 * 3);
  }
}

using Refusals = Systems;

TEST_F(Refusals, SayWhichNetworksAndObjectivesGoTogether) {
  const auto relevance = isnet(
      "train --data @single --output @no --device cpu --batch-size 4 --objective isnet --network vit "
      "--image-size 32 --patch-size 8 --hidden-dim 12 --encoder-layers 1 --mlp-dim 8");
  EXPECT_EQ(relevance.status, 2);
  EXPECT_THAT(relevance.output, HasSubstr("no relevance rule"));
  EXPECT_THAT(relevance.output, HasSubstr("gradient-x-input"));
  const auto mining = isnet(
      "train --data @single --output @no --device cpu --batch-size 4 --objective ham --network resnet "
      "--blocks 1 --widths 4");
  EXPECT_EQ(mining.status, 2);
  EXPECT_THAT(mining.output, HasSubstr("allowed: --network ham"));
  const auto normal = isnet(
      "train --data @single --output @no --device cpu --objective ham --network ham "
      "--ham-backbone resnet --blocks 1,1,1,1 --widths 4,4,4,4");
  EXPECT_EQ(normal.status, 2);
  EXPECT_THAT(normal.output, HasSubstr("--normal-class: is required"));
}

}  // namespace
}  // namespace isnet
