#include "evaluation/heatmap_measures.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "evaluation/explanation_scores.h"
#include "evaluation/score_report.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

TEST(HeatmapMeasures, AreThoseOfQuantus) {
  const auto golden = nlohmann::json::parse(
      read_file(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "localisation.json"));
  const auto& test = golden.at("localisation");
  for (std::size_t i = 0; i < test.at("heatmaps").size(); ++i) {
    const auto heatmap = test.at("heatmaps").at(i).get<std::vector<double>>();
    const auto mask = test.at("masks").at(i).get<std::vector<double>>();
    const HeatmapMeasures of = measure_heatmap(heatmap, mask);
    EXPECT_NEAR(of.relevance_mass_accuracy, test.at("relevance_mass_accuracy").at(i).get<double>(), 1e-12)
        << i;
    EXPECT_NEAR(of.relevance_rank_accuracy, test.at("relevance_rank_accuracy").at(i).get<double>(), 1e-12)
        << i;
    EXPECT_EQ(of.pointing_game, test.at("pointing_game").at(i).get<double>()) << i;
    EXPECT_NEAR(of.background_share, 1 - of.relevance_mass_accuracy, 1e-12) << i;
  }
}

TEST(HeatmapMeasures, AddUpChannelsOfAPixelButForTheBackgroundShare) {
  const std::vector<double> heatmap{1, 2, -1, 2};  // two channels of two pixels
  const std::vector<double> mask{1, 0};
  const HeatmapMeasures of = measure_heatmap(heatmap, mask);
  EXPECT_DOUBLE_EQ(of.background_share, 4.0 / 6);
  EXPECT_DOUBLE_EQ(of.relevance_mass_accuracy, 0) << "the first pixel's channels cancel";
  EXPECT_EQ(of.pointing_game, 0);
}

TEST(HeatmapMeasures, AreUndefinedWithoutRegionRelevanceOrFiniteNumbers) {
  const std::vector<double> relevance{1, 2}, nothing{0, 0}, infinite{1, INFINITY}, mask{1, 0}, empty{0, 0};
  for (const HeatmapMeasures& of :
       {measure_heatmap(relevance, empty), measure_heatmap(nothing, mask), measure_heatmap(infinite, mask)}) {
    EXPECT_TRUE(std::isnan(of.background_share));
    EXPECT_TRUE(std::isnan(of.relevance_rank_accuracy));
    EXPECT_TRUE(std::isnan(of.pointing_game));
  }
}

TEST(HeatmapMeasures, TakeTheAreaUnderACurveByTrapezoids) {
  EXPECT_DOUBLE_EQ(area_under(std::vector<double>{1, 0}), 0.5);
  EXPECT_DOUBLE_EQ(area_under(std::vector<double>{1, 0.5, 0}), 0.5);
  EXPECT_DOUBLE_EQ(area_under(std::vector<double>{1, 0, 0, 0}), 0.5 / 3);
  EXPECT_TRUE(std::isnan(area_under(std::vector<double>{1})));
}

TEST(ExplanationScores, SummariseRowsOfSamples) {
  Predictions facts;
  facts.class_names = {"cat", "dog"};
  facts.ids = {"a", "b", "c"};
  facts.labels = {0, 1, 1};
  ExplanationRow row;
  row.regions = {"cat", "dog"};
  row.steps = 1;
  ASSERT_EQ(row.width(), 10u);
  const double none = std::nan("");
  const std::vector<double> rows{0.2,  0.8,  0.5,  1,    0.3, none, 0.9, 0.1, 0.2, 0.8,  //
                                 0.4,  0.6,  0.5,  0,    0.1, 0.2,  0.7, 0.3, 0.4, 0.6,  //
                                 none, none, none, none, 0.5, 0.6,  0.8, 0.2, 0.3, 0.7};
  ReportOptions options;
  options.bootstrap = 50;
  const ExplanationScores scores = explanation_scores("lrp", "predicted", row, rows, facts, options);
  EXPECT_DOUBLE_EQ(figure_of(scores.figures, "background_share").mean.value, 0.3);
  EXPECT_DOUBLE_EQ(figure_of(scores.figures, "pointing_game").mean.value, 0.5);
  EXPECT_DOUBLE_EQ(figure_of(scores.figures, "deletion_auc").mean.value, 0.5);
  EXPECT_DOUBLE_EQ(figure_of(scores.regions, "dog").mean.value, 0.4);
  EXPECT_NEAR(scores.deletion.at(0), 0.8, 1e-12);
  EXPECT_NEAR(scores.insertion.at(1), 0.7, 1e-12);
  ASSERT_EQ(scores.remarks.size(), 1u) << "one sample is left out";
  const auto json = scores.to_json();
  EXPECT_EQ(json.at("regions").size(), 2u);
  EXPECT_EQ(json.at("curves").at("fraction").size(), 2u);
  EXPECT_EQ(json.at("per_class").at("dog").at("samples"), 2);
  EXPECT_THAT(scores.csv("test"), ::testing::HasSubstr("test,lrp,,background_share,median,"));
  EXPECT_LE(text_width(explanation_table({scores})), terminal_columns);
}

}  // namespace
}  // namespace isnet
