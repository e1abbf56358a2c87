#include "evaluation/metrics.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/result_tables.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;

Scores example() {
  Scores scores(ScoreKind::single_label, {"cat", "dog"}, {"loss", "loss_heatmap"});
  scores.add(0, 0);
  scores.add(0, 1);
  scores.add(1, 1);
  scores.add(1, 1);
  scores.add_loss("loss", 1.0, 3);  // a batch of three
  scores.add_loss("loss", 2.0, 1);  // and a short one
  return scores;
}

TEST(Scores, LossesAreMeansOverSamplesNotOverBatches) {
  const auto scores = example();
  EXPECT_DOUBLE_EQ(scores.loss(), 1.25);
  EXPECT_TRUE(std::isnan(scores.loss("loss_heatmap")));
  EXPECT_THROW(scores.loss("loss_of_data"), Error);
}

TEST(Scores, MacroAveragesAreMeansOverClasses) {
  const auto scores = example();
  EXPECT_DOUBLE_EQ(scores.accuracy(), 0.75);
  EXPECT_DOUBLE_EQ(scores.macro(&BinaryCounts::recall), (0.5 + 1.0) / 2);
  EXPECT_DOUBLE_EQ(scores.macro(&BinaryCounts::precision), (1.0 + 2.0 / 3) / 2);
}

TEST(Scores, SumsOfTwoRanksAreTheScoresOfAllSamples) {
  Scores whole(ScoreKind::single_label, {"a", "b", "c"}), left = whole, right = whole;
  for (int i = 0; i < 40; ++i) {
    auto& half = i % 3 ? left : right;
    for (auto* scores : {&whole, &half}) {
      scores->add(i % 3, (i / 2) % 3);
      scores->add_loss("loss", 0.25 * i, 1);  // exact in binary: sums do not depend on their order
    }
  }
  auto sums = left.flat();
  const auto others = right.flat();
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += others[i];
  left.set_flat(sums);
  EXPECT_EQ(left.flat(), whole.flat());
  EXPECT_EQ(left.to_json(), whole.to_json());
  EXPECT_THROW(left.set_flat(std::span(sums).first(3)), Error);
}

TEST(Scores, TheJsonHasTheFormOfTheContract) {
  const auto json = metrics_json({{"test", example()}});
  const auto& split = json.at("test");
  EXPECT_EQ(split.at("loss").get<double>(), 1.25);
  EXPECT_TRUE(split.at("loss_heatmap").is_null() || std::isnan(split.at("loss_heatmap").get<double>()));
  EXPECT_EQ(split.at("accuracy").get<double>(), 0.75);
  EXPECT_EQ(split.at("samples").get<int>(), 4);
  EXPECT_EQ(split.at("confusion_matrix"), (nlohmann::ordered_json{{1, 1}, {0, 2}}));
  EXPECT_EQ(split.at("per_class").at("dog").at("recall").get<double>(), 1.0);
  EXPECT_THAT(json.dump(), HasSubstr("\"loss_heatmap\":null"));
}

TEST(Scores, MultiLabelMatricesAreTwoByTwoForEachClass) {
  Scores scores(ScoreKind::multi_label, {"a", "b"});
  scores.add(std::array<std::uint8_t, 2>{1, 0}, std::array<std::uint8_t, 2>{1, 1});
  const auto json = scores.to_json();
  EXPECT_EQ(json.at("confusion_matrix"), (nlohmann::ordered_json{{{0, 0}, {0, 1}}, {{0, 1}, {0, 0}}}));
  EXPECT_EQ(json.at("exact_match").get<double>(), 0);
  EXPECT_EQ(json.at("accuracy").get<double>(), 0.5);
  EXPECT_THROW(scores.add(0, 0), Error);
  EXPECT_EQ(confusion_table(scores), "");
}

TEST(Scores, TablesShowSplitsClassesAndTheMatrix) {
  const auto scores = example();
  EXPECT_EQ(summary_table({{"test-unbiased", scores}}),
            "split          samples    loss  accuracy  precision  recall      F1\n"
            "-------------  -------  ------  --------  ---------  ------  ------\n"
            "test-unbiased        4  1.2500    0.7500     0.8333  0.7500  0.7333\n");
  EXPECT_THAT(class_table(scores), HasSubstr("cat          2     1.0000  0.5000"));
  EXPECT_THAT(confusion_table(scores), HasSubstr("cat                  1    1\n"));
}

TEST(Scores, MatricesAreShownOfFewClassesOnly) {
  const auto scores = example();
  EXPECT_EQ(result_tables({{"val", scores}, {"test", scores}}, {}),
            "\nSplit val:\n" + confusion_table(scores) + "\n" + class_table(scores) +  //
                "\nSplit test:\n" + confusion_table(scores) + "\n" + class_table(scores));
  const Scores multi(ScoreKind::multi_label, {"a", "b"});
  EXPECT_EQ(result_tables({{"test", multi}}, {}), "\nSplit test:\n" + class_table(multi));
  const Scores many(ScoreKind::single_label, std::vector<std::string>(most_classes_shown + 1, "a"));
  EXPECT_EQ(result_tables({{"test", many}}, {}), "");
}

}  // namespace
}  // namespace isnet
