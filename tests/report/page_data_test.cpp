// Curves, trainings and pictures as the page gets them.
#include "report/page_data.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "report/sample_pictures.h"

namespace isnet {
namespace {

using ::testing::StartsWith;
using Json = nlohmann::ordered_json;

TEST(ReportData, KeepsTheEndsOfLongCurves) {
  ScoreReport report;
  ClassCurves curves;
  for (int i = 0; i <= 100'000; ++i) curves.roc.push_back({1.0 - i * 1e-5, i * 1e-5, i * 1e-5});
  curves.roc.front().threshold = std::numeric_limits<double>::infinity();
  report.curves.push_back(curves);
  const Json roc = curves_json(report).at(0).at("roc");
  EXPECT_LE(roc.at("x").size(), 402u);
  EXPECT_TRUE(roc.at("t").front().is_null());
  EXPECT_EQ(roc.at("x").back(), 1.0);
}

TEST(ReportData, HasEachColumnOfATrainingBySplit) {
  const Json training = training_json(
      "epoch,step,split,loss,accuracy,samples\n0,5,train,1.5,0.25,10\n0,5,val,1.25,,4\n1,10,train,nan,0.5,"
      "10\n",
      "x");
  const auto column = [&](const std::string& name, const std::string& split) {
    for (const auto& one : training.at("columns"))
      if (one.at("name") == name && one.at("split") == split) return one;
    return Json();
  };
  EXPECT_EQ(column("loss", "train").at("value"), Json::array({1.5}));
  EXPECT_EQ(column("loss", "val").at("epoch"), Json::array({0.0}));
  EXPECT_EQ(column("accuracy", "train").at("value"), Json::array({0.25, 0.5}));
  EXPECT_TRUE(column("accuracy", "val").is_null()) << "an empty cell is no value";
  EXPECT_TRUE(column("samples", "train").is_null());
  EXPECT_THROW(training_json("a,b\n1,2\n", "metrics.csv"), Error);
}

TEST(SamplePictures, DrawTheBorderOfAMaskOnce) {
  const std::vector<float> mask{0, 0, 0, 0,  //
                                0, 1, 1, 0,  //
                                0, 0, 0, 0};
  EXPECT_EQ(outline_path(mask, {3, 4}), "M1 1h2M1 2h2M1 1v1M3 1v1");
  EXPECT_EQ(outline_path(std::vector<float>(4, 1), {2, 2}), "M0 0h2M0 2h2M0 0v2M2 0v2")
      << "the picture's edge counts";
  EXPECT_EQ(outline_path(std::vector<float>(4, 0), {2, 2}), "");
}

TEST(SamplePictures, AreCompressedAndKeepTheScale) {
  const std::vector<float> image(3 * 16, 0.5f);
  EXPECT_THAT(image_url(image, {4, 4}), StartsWith("data:image/"));
  std::vector<float> heatmap(3 * 16, 0.0f);
  heatmap[3] = -2;
  heatmap[16 + 3] = -4;
  EXPECT_EQ(heatmap_json(heatmap, {4, 4}).at("scale"), 6.0);
  EXPECT_EQ(heatmap_json(std::vector<float>(3 * 16, std::nanf("")), {4, 4}).at("scale"), 1.0);
}

}  // namespace
}  // namespace isnet
