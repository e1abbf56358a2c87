// The real program with networks that segment: from training over evaluation to new data sets, and pipelines.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "data/hdf5.h"
#include "model/weights.h"
#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Bright squares on dark noise: the squares are the masks, their sizes the classes.
std::vector<ShardEntry> write_squares(const std::filesystem::path& folder, const std::string& split,
                                      std::int64_t samples, bool masks) {
  SampleLayout layout = small_layout(18, 16);
  layout.mask_channels = masks ? 1 : 0;
  SplitWriter writer(folder, split, layout, samples, 7);
  for (std::int64_t i = 0; i < samples; ++i) {
    const std::int64_t label = i % 3, side = 4 + 3 * label, row = 1 + (i * 5) % 6, column = (i * 3) % 5;
    std::vector<std::uint8_t> image, mask;
    for (std::int64_t p = 0; p < layout.pixels(); ++p) {
      const std::int64_t y = p / layout.width - row, x = p % layout.width - column;
      const bool inside = y >= 0 && y < side && x >= 0 && x < side;
      image.push_back(static_cast<std::uint8_t>((inside ? 170 : 20) + small_pixel(i, p) / 4));
      mask.push_back(inside ? 255 : 0);
    }
    writer.add(image.data(), mask.data(), label, cat(split, "-", i));
  }
  return writer.finish();
}

void write_square_set(const std::filesystem::path& folder, bool masks) {
  DataSetDescription description;
  description.class_names = {"small", "middle", "large"};
  description.height = 18;
  description.width = 16;
  for (const auto& [name, samples] : {std::pair{"train", 24}, {"val", 9}, {"test", 9}})
    description.splits[name] = write_squares(folder, name, samples, masks);
  write_description(folder, description);
}

class Segmentation : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_square_set(*folder_ / "data", true);
    write_square_set(*folder_ / "bare", false);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::filesystem::path path(const std::string& name) { return *folder_ / name; }
  // Words separated by blanks; those that begin with ./ are names in the tests' folder.
  static ProgramResult run(const std::string& text, int ranks = 1) {
    std::vector<std::string> command{ISNET_BINARY};
    std::istringstream words(text);
    for (std::string word; words >> word;)
      command.push_back(word.rfind("./", 0) == 0 ? path(word.substr(2)).string() : word);
    return isnet::testing::run(ranks, command);
  }
  static std::string train_unet(const std::string& output, const std::string& more = "") {
    return "train --data ./data --output ./" + output +
           " --network unet --depth 3 --wf 2 --padding 1 --objective segmentation --device cpu --backend "
           "gloo "
           "--precision 64 --lr 0.3 --momentum 0.9 " +
           more;
  }
  // One for all tests that need some: enough epochs to find the squares.
  static void need_unet() {
    if (std::filesystem::exists(path("unet/weights.safetensors"))) return;
    const auto result =
        run(train_unet("unet", "--batch-norm 1 --batch-size 6 --max-epochs 12 --segmentation-loss sum"));
    ASSERT_EQ(result.status, 0) << result.output;
  }
  static nlohmann::json metrics(const std::string& output) {
    return nlohmann::json::parse(read_file(path(output) / "metrics.json"));
  }

  static TemporaryFolder* folder_;
};
TemporaryFolder* Segmentation::folder_ = nullptr;

TEST_F(Segmentation, TwoRanksLearnWhatOneLearns) {
  const std::string common = "--max-epochs 2 --shuffle 0 --mask-class-weights 0.4,2.5 ";
  const auto one = run(train_unet("one", common + "--batch-size 8")),
             two = run(train_unet("two", common + "--batch-size 4"), 2);
  ASSERT_EQ(one.status, 0) << one.output;
  ASSERT_EQ(two.status, 0) << two.output;
  const auto a = load_checkpoint(path("one/checkpoints/last.ckpt")),
             b = load_checkpoint(path("two/checkpoints/last.ckpt"));
  for (const auto& [name, tensor] : a.tensors)
    EXPECT_TRUE(at::allclose(tensor.to(at::kDouble), b.tensors.at(name).to(at::kDouble), 1e-9, 1e-11))
        << name;
  for (const char* name : {"loss", "loss_segmentation", "dice_0", "dice_1", "iou_0", "iou_1"}) {
    const auto first = column(path("one/metrics.csv"), "train", name),
               second = column(path("two/metrics.csv"), "train", name);
    ASSERT_EQ(first.size(), 2u) << name;
    for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(first[i], second[i], 1e-9) << name;
  }
}

TEST_F(Segmentation, AResumedTrainingIsTheUndisturbedOne) {
  const std::string common = "--batch-size 4 --batch-norm 1 ";
  for (const auto& text :
       {train_unet("whole", common + "--max-epochs 2"), train_unet("halves", common + "--max-epochs 1"),
        train_unet("halves", common + "--max-epochs 2 --resume last")}) {
    const auto result = run(text);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  const auto whole = load_checkpoint(path("whole/checkpoints/last.ckpt")),
             halves = load_checkpoint(path("halves/checkpoints/last.ckpt"));
  for (const auto& [name, tensor] : whole.tensors)
    EXPECT_TRUE(at::equal(tensor, halves.tensors.at(name))) << name;
  EXPECT_EQ(text_of(path("whole/metrics.csv")), text_of(path("halves/metrics.csv")));
}

TEST_F(Segmentation, EvaluationSaysHowWellPixelsAreFound) {
  need_unet();
  const auto result =
      run("evaluate --checkpoint ./unet/checkpoints/last.ckpt --data ./data --split val,test "
          "--output ./evaluated --batch-size 4");
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("Dice"), HasSubstr("region")));
  const auto scores = metrics("evaluated").at("val");
  EXPECT_EQ(scores.at("samples"), 9);
  EXPECT_FALSE(scores.contains("accuracy"));
  const auto& pixels = scores.at("segmentation");
  EXPECT_EQ(pixels.at("pixels"), 9 * 16 * 16);  // the middle of 18×16 that has logits
  EXPECT_GT(pixels.at("per_class").at("region").at("dice").get<double>(), 0.8);
  // The training's last validation saw the same network; 4 + 4 + 1 samples and 6 + 3 have equal sums.
  EXPECT_NEAR(pixels.at("per_class").at("region").at("iou").get<double>(),
              column(path("unet/metrics.csv"), "val", "iou_1").back(), 1e-5);
  const auto ranks =
      run("evaluate --checkpoint ./unet/checkpoints/last.ckpt --data ./data --split val,test "
          "--output ./evaluated-by-two --batch-size 2 --backend gloo",
          2);
  ASSERT_EQ(ranks.status, 0) << ranks.output;
  EXPECT_EQ(metrics("evaluated-by-two").at("val").at("segmentation"), pixels);
}

TEST_F(Segmentation, SegmentMakesADataSetWithMasks) {
  need_unet();
  const auto result =
      run("segment --checkpoint ./unet/checkpoints/last.ckpt --data ./bare --output ./segmented "
          "--batch-size 5 --pictures ./pictures --pictures-limit 2");
  ASSERT_EQ(result.status, 0) << result.output;
  const DataSet bare(path("bare")), made(path("segmented")), true_masks(path("data"));
  EXPECT_NO_THROW(made.verify_checksums());
  EXPECT_EQ(made.split_names(), bare.split_names());
  EXPECT_EQ(made.description().class_names, bare.description().class_names);
  double right = 0, all = 0;
  for (const char* name : {"train", "test"}) {
    const auto from = bare.split(name), to = made.split(name), truth = true_masks.split(name);
    ASSERT_EQ(to->size(), from->size());
    EXPECT_EQ(to->shards().size(), from->shards().size());
    std::vector<float> image(3 * 18 * 16), other(image.size()), mask(18 * 16), true_mask(18 * 16);
    for (std::int64_t i = 0; i < to->size(); ++i) {
      EXPECT_EQ(to->id(i), from->id(i));
      EXPECT_EQ(to->label(i), from->label(i));
      from->read<float>(i, image.data(), nullptr);
      to->read<float>(i, other.data(), mask.data());
      EXPECT_EQ(image, other);
      truth->read<float>(i, other.data(), true_mask.data());
      for (std::size_t p = 0; p < mask.size(); ++p, ++all) right += mask[p] == true_mask[p] ? 1 : 0;
    }
  }
  EXPECT_GT(right / all, 0.9);
  std::size_t pictures = 0;
  for (const auto& file : std::filesystem::directory_iterator(path("pictures")))
    pictures += file.path().extension() == ".png" ? 1 : 0;
  EXPECT_EQ(pictures, 3 * 2u);
  const auto isnet =
      run("train --data ./segmented --output ./isnet-of-segmented --network densenet --growth-rate 4 "
          "--blocks 1,1 --init-features 4 --max-epochs 1 --batch-size 8 --device cpu");
  EXPECT_EQ(isnet.status, 0) << isnet.output;
}

TEST_F(Segmentation, SegmentMakesSoftMasksAndReplacesOthers) {
  need_unet();
  const auto result =
      run("segment --weights ./unet/weights.safetensors --data ./data --output ./soft --split test "
          "--mask-form soft --mask-clip-low 0.2 --mask-clip-high 0.9 --replace-masks");
  ASSERT_EQ(result.status, 0) << result.output;
  const DataSet made(path("soft"));
  EXPECT_EQ(made.split_names(), std::vector<std::string>{"test"});
  EXPECT_EQ(made.split("test")->layout().mask_type, hdf5::ElementType::float32);
  const auto split = made.split("test");
  std::vector<float> image(3 * 18 * 16), mask(18 * 16);
  for (std::int64_t i = 0; i < split->size(); ++i) {
    split->read<float>(i, image.data(), mask.data());
    for (const float value : mask) EXPECT_TRUE(value == 0 || value == 1 || (value > 0.2f && value < 0.9f));
  }
}

TEST_F(Segmentation, SegmentRefusesWhatItWouldSpoil) {
  need_unet();
  const std::string with = "segment --checkpoint ./unet/checkpoints/last.ckpt ";
  const auto expect = [](const ProgramResult& result, int status, const char* said) {
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(said));
  };
  expect(run(with + "--data ./data --output ./refused"), 2, "--replace-masks");
  expect(run(with + "--data ./bare --output ./bare"), 2, "is the data set that is read");
  expect(run(with + "--data ./bare --output ./data"), 2, "--overwrite");
  expect(run(with + "--data ./bare --output ./refused --split nothing"), 3, "nothing");
  expect(run(with + "--data ./bare --output ./refused --mask-clip-low 0.1"), 2, "--mask-form hard");
  EXPECT_FALSE(std::filesystem::exists(path("refused/dataset.json")));
  expect(run("segment --data ./bare --output ./refused"), 2, "--checkpoint");
  expect(run("explain --checkpoint ./unet/checkpoints/last.ckpt --data ./data --output ./refused.h5"), 2,
         "classifies no images");
  expect(run("predict --checkpoint ./unet/checkpoints/last.ckpt --data ./data --output ./refused.csv"), 2,
         "isnet segment");
}

// What a validation chooses goes with the weights: into scores, new data sets and pipelines, and through a
// resumed training; it is the same on two ranks.
TEST_F(Segmentation, TheTunedThresholdGoesWithTheWeights) {
  const std::string common = "--batch-norm 1 --shuffle 0 --tune-threshold 1 --sync-batchnorm 1 ";
  for (const auto& [text, ranks] :
       {std::pair{train_unet("tuned", common + "--batch-size 8 --max-epochs 2"), 1},
        {train_unet("tuned-by-two", common + "--batch-size 4 --max-epochs 2"), 2},
        {train_unet("tuned-halves", common + "--batch-size 8 --max-epochs 1"), 1},
        {train_unet(
             "tuned-halves",
             common + "--batch-size 8 --config ./tuned-halves/options.ini --max-epochs 2 --resume last"),
         1}}) {
    const auto result = run(text, ranks);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  const auto chosen = column(path("tuned/metrics.csv"), "val", "mask_threshold");
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_NE(chosen.back(), 0.5);  // else nothing here could be told from the default
  EXPECT_EQ(column(path("tuned-by-two/metrics.csv"), "val", "mask_threshold"), chosen);
  EXPECT_EQ(text_of(path("tuned-halves/metrics.csv")), text_of(path("tuned/metrics.csv")));
  const std::string threshold = cat(chosen.back());
  EXPECT_THAT(text_of(path("tuned/options.ini")), HasSubstr("mask-threshold = " + threshold + "\n"));
  const std::string model = "./tuned/checkpoints/last.ckpt";
  EXPECT_EQ(
      load_checkpoint(path("tuned/checkpoints/last.ckpt")).state.at("found_options").at("mask-threshold"),
      threshold);

  ASSERT_EQ(run("evaluate --checkpoint " + model + " --data ./data --split val --output ./tuned/val").status,
            0);
  const double iou = metrics("tuned/val").at("val").at("segmentation").at("per_class").at("region").at("iou");
  EXPECT_NEAR(iou, column(path("tuned/metrics.csv"), "val", "iou_1").back(), 1e-5);
  ASSERT_EQ(run("evaluate --checkpoint " + model + " --data ./data --split val --output ./tuned/half " +
                "--mask-threshold 0.5")
                .status,
            0);
  EXPECT_LT(metrics("tuned/half").at("val").at("segmentation").at("per_class").at("region").at("iou"), iou);

  const auto masks = [&](const std::string& output, const std::string& more) {
    const auto result = run("segment --weights " + more + " --data ./bare --split test --output ./" + output);
    EXPECT_EQ(result.status, 0) << result.output;
    return hdf5::File::open(path(output + "/test/shard-00000.h5")).read<std::uint8_t>("masks").values;
  };
  // The best of the two epochs, which need not be the last.
  const auto best = read_weights(path("tuned/weights.safetensors")).metadata.at("isnet.options");
  const auto line = best.find("mask-threshold = ") + 17;
  const std::string stored = best.substr(line, best.find('\n', line) - line);
  EXPECT_THAT(std::vector<std::string>({cat(chosen[0]), cat(chosen[1])}), ::testing::Contains(stored));
  const std::string weights = "./tuned/weights.safetensors";
  const auto by_itself = masks("tuned-masks", weights);
  EXPECT_EQ(by_itself, masks("told-masks", weights + " --mask-threshold " + stored));
  EXPECT_NE(by_itself, masks("half-masks", weights + " --mask-threshold 0.5"));

  const auto pipeline =
      run("train --data ./data --output ./tuned-pipeline --network pipeline --unet-weights " + weights +
          " --classifier densenet --growth-rate 4 --blocks 1,1 --init-features 4 --objective classifier "
          "--device cpu --batch-size 8 --max-epochs 1");
  ASSERT_EQ(pipeline.status, 0) << pipeline.output;
  EXPECT_THAT(read_weights(path("tuned-pipeline/weights.safetensors")).metadata.at("isnet.options"),
              HasSubstr("mask-threshold = " + stored + "\n"));
}

TEST_F(Segmentation, ObjectivesRefuseNetworksAndDataThatDoNotSuit) {
  const auto expect = [](const ProgramResult& result, int status, const std::vector<std::string>& said) {
    EXPECT_EQ(result.status, status) << result.output;
    for (const auto& part : said) EXPECT_THAT(result.output, HasSubstr(part));
  };
  const std::string start = "train --device cpu --max-epochs 1 --batch-size 4 --output ./refused-run ";
  expect(run(start + "--data ./data --network densenet --objective segmentation"), 2,
         {"multitask-unet, unet"});
  expect(run(start + "--data ./data --network unet --objective isnet"), 2, {"densenet121", "multitask-unet"});
  expect(run(start + "--data ./bare --network unet --padding 1 --depth 3 --wf 2 --objective segmentation"), 3,
         {"has no masks", "segmentation"});
  expect(run(start + "--data ./data --network unet --depth 3 --wf 2 --objective segmentation"), 2,
         {"18×16", "too small", "44 pixels"});
  expect(run(start + "--data ./data --network unet --mask-classes 1 --objective segmentation"), 2,
         {"--mask-classes"});
  expect(run(start + "--data ./data --network unet --padding 1 --depth 3 --wf 2 --mask-classes 4 --objective "
                     "segmentation"),
         2, {"--mask-classes: '4'", "allowed: 2"});
  expect(run(start + "--data ./data --network unet --padding 1 --depth 3 --wf 2 --mask-classes 4 "
                     "--tune-threshold 1 --objective segmentation"),
         2, {"--tune-threshold", "--mask-classes 4"});
  expect(run(start + "--data ./data --network pipeline --objective classifier"), 2, {"--unet-weights"});
  expect(
      run(start + "--data ./data --network densenet --objective classifier --unet-weights ./x.safetensors"),
      2, {"--unet-weights", "allowed: with pipeline"});
}

const char* const small_head = " --depth 3 --wf 2 --padding 1 --batch-norm 1 --hidden 8,8 --pool 2,2 ";

TEST_F(Segmentation, AMultitaskNetworkLearnsBothAndIsExplained) {
  const auto trained =
      run(std::string("train --data ./data --output ./both --network multitask-unet --objective "
                      "multitask --device cpu --batch-size 4 --max-epochs 2 --lr 0.05 "
                      "--backend gloo") +
              small_head,
          2);
  ASSERT_EQ(trained.status, 0) << trained.output;
  ASSERT_EQ(
      run("evaluate --checkpoint ./both/checkpoints/last.ckpt --data ./data --output ./both/test").status, 0);
  const auto scores = metrics("both/test").at("test");
  EXPECT_TRUE(scores.contains("accuracy"));
  EXPECT_TRUE(scores.contains("loss_segmentation"));
  EXPECT_TRUE(scores.at("segmentation").at("per_class").contains("region"));
  const auto explained =
      run("explain --checkpoint ./both/checkpoints/last.ckpt --data ./data --output ./both.h5");
  ASSERT_EQ(explained.status, 0) << explained.output;
  EXPECT_EQ(hdf5::File::open(path("both.h5")).dataset("heatmaps").shape(), (hdf5::Shape{9, 3, 3, 18, 16}));
  EXPECT_EQ(run("segment --checkpoint ./both/checkpoints/last.ckpt --data ./bare --output ./by-both").status,
            0);
}

TEST_F(Segmentation, AMultitaskNetworkIsTrainedAsAnIsnetOnTwoRanks) {
  const auto trained =
      run(std::string("train --data ./data --output ./both-isnet --network multitask-unet "
                      "--objective isnet --device cpu --batch-size 4 --max-epochs 1 --weight-decay 0.1 "
                      "--backend gloo") +
              small_head,
          2);
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_THAT(read_file(path("both-isnet/metrics.csv")), HasSubstr("loss_heatmap"));
}

TEST_F(Segmentation, APipelineIsOneModel) {
  need_unet();
  const auto trained =
      run("train --data ./data --output ./pipeline --network pipeline --unet-weights "
          "./unet/weights.safetensors --classifier densenet --growth-rate 4 --blocks 1,1 "
          "--init-features 4 --objective classifier --device cpu --batch-size 4 --max-epochs 2 "
          "--recompute-bn-statistics 3 --backend gloo",
          2);
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_EQ(column(path("pipeline/metrics.csv"), "train", "empty_masks").size(), 2u);
  // The U-Net has stood still, statistics included.
  const auto unet = read_weights(path("unet/weights.safetensors")).tensors;
  const auto checkpoint = load_checkpoint(path("pipeline/checkpoints/last.ckpt"));
  for (const auto& [name, tensor] : unet) {
    const auto& kept = checkpoint.tensors.at("model.unet." + name);
    EXPECT_TRUE(at::equal(kept, tensor.to(kept.scalar_type()))) << name;
  }
  std::filesystem::rename(path("unet/weights.safetensors"), path("unet/elsewhere"));  // both are in one file
  const auto evaluated =
      run("evaluate --checkpoint ./pipeline/checkpoints/last.ckpt --data ./data --output "
          "./pipeline/test");
  const auto explained =
      run("explain --checkpoint ./pipeline/checkpoints/last.ckpt --data ./data --output "
          "./pipeline.h5 --first-layer zb");
  const auto all =
      run("train --data ./data --output ./pipeline --resume last --network pipeline --unet-weights "
          "./unet/elsewhere --classifier densenet --growth-rate 4 --blocks 1,1 --init-features 4 "
          "--objective classifier --device cpu --batch-size 4 --max-epochs 3 "
          "--recompute-bn-statistics 3 --backend gloo",
          2);
  std::filesystem::rename(path("unet/elsewhere"), path("unet/weights.safetensors"));
  ASSERT_EQ(evaluated.status, 0) << evaluated.output;
  EXPECT_TRUE(metrics("pipeline/test").at("test").contains("empty_masks"));
  EXPECT_EQ(all.status, 0) << all.output;
  ASSERT_EQ(explained.status, 0) << explained.output;
  // What the U-Net blots out has no relevance, z^B or not: the classes' heatmaps share their zeros.
  const auto heatmaps = hdf5::File::open(path("pipeline.h5")).read<float>("heatmaps");
  const at::Tensor maps =
      at::from_blob(const_cast<float*>(heatmaps.values.data()), heatmaps.shape, at::kFloat);
  const at::Tensor blank = maps.abs().amax({1, 2}).eq(0).to(at::kFloat).mean();  // over N×H×W
  EXPECT_GT(blank.item<double>(), 0.4);
  EXPECT_LT(blank.item<double>(), 1.0);
}

}  // namespace
}  // namespace isnet
