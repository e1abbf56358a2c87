// Scores of pixels, and of splits whose images are not classified.
#include "evaluation/segmentation_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/metrics.h"
#include "evaluation/result_tables.h"

namespace isnet {
namespace {

TEST(SegmentationScores, RatiosAreOfSums) {
  SegmentationScores scores({"background", "region"});
  scores.add(std::vector<double>{50, 10, 5, 35});
  scores.add(std::vector<double>{100, 0, 0, 0});  // an image without a region
  EXPECT_EQ(scores.pixels(), 200);
  EXPECT_DOUBLE_EQ(scores.dice(1), 2 * 35.0 / (2 * 35 + 10 + 5));
  EXPECT_DOUBLE_EQ(scores.iou(1), 35.0 / (35 + 10 + 5));
  EXPECT_DOUBLE_EQ(scores.iou(0), 150.0 / (150 + 10 + 5));
  const auto json = scores.to_json();
  EXPECT_EQ(json.at("confusion_matrix").at(1).at(0), 5);
  EXPECT_DOUBLE_EQ(json.at("per_class").at("region").at("recall").get<double>(), 35.0 / 40);
  EXPECT_NE(scores.table().find("region"), std::string::npos);
}

TEST(SegmentationScores, AClassThatIsNowhereHasNone) {
  SegmentationScores scores({"background", "region"});
  scores.add(std::vector<double>{100, 0, 0, 0});
  EXPECT_TRUE(std::isnan(scores.dice(1)));
  EXPECT_TRUE(
      nlohmann::json::parse(scores.to_json().dump()).at("per_class").at("region").at("iou").is_null());
}

TEST(SegmentationScores, AreNamedAfterTheMasks) {
  EXPECT_EQ(mask_class_names(2, {"a", "b"}), (std::vector<std::string>{"background", "region"}));
  EXPECT_EQ(mask_class_names(3, {"a", "b"}), (std::vector<std::string>{"background", "a", "b"}));
}

Scores segmented(ScoreKind kind) {
  return Scores(kind, {"a", "b"}, {"loss", "loss_segmentation"}, {"background", "region"});
}

TEST(Scores, OfRanksAreThoseOfOneWithPixelsToo) {
  Scores whole = segmented(ScoreKind::single_label), first = whole, second = whole;
  const std::vector<double> pixels{5, 1, 2, 8};
  for (Scores* part : {&whole, &first}) {
    part->add(0, 1);
    part->add_loss("loss", 2, 1);
    part->add_pixels(pixels);
  }
  for (Scores* part : {&whole, &second}) {
    part->add(1, 1);
    part->add_loss("loss", 4, 1);
    part->add_pixels(pixels);
  }
  auto sums = first.flat();
  const auto more = second.flat();
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
  first.set_flat(sums);
  EXPECT_EQ(first.to_json().dump(), whole.to_json().dump());  // NaN is not equal to itself
  EXPECT_EQ(first.segmentation()->pixels(), 32);
}

TEST(Scores, WithoutClassesOfImagesAreOfPixelsAlone) {
  Scores scores = segmented(ScoreKind::none);
  scores.add(3);
  scores.add_loss("loss", 0.5, 3);
  scores.add_pixels(std::vector<double>{5, 1, 2, 8});
  Scores copy = segmented(ScoreKind::none);
  copy.set_flat(scores.flat());
  const auto json = copy.to_json();
  EXPECT_EQ(json.at("samples"), 3);
  EXPECT_FALSE(json.contains("accuracy"));
  EXPECT_FALSE(json.contains("confusion_matrix"));
  const std::string table = summary_table({{"test", copy}});
  EXPECT_NE(table.find("Dice"), std::string::npos);
  EXPECT_EQ(table.find("accuracy"), std::string::npos);
  EXPECT_EQ(result_tables({{"test", copy}}, {}).find("label"), std::string::npos);
  EXPECT_THROW(copy.add(0, 1), Error);
  EXPECT_THROW(Scores(ScoreKind::none, {"a"}).add_pixels(std::vector<double>{1}), Error);
}

}  // namespace
}  // namespace isnet
