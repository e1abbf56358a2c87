// Scores against scikit-learn's, and against brute force where it has none.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "evaluation/calibration.h"
#include "evaluation/figures.h"
#include "evaluation/implicit_class.h"
#include "evaluation/operating_points.h"
#include "evaluation/probability_scores.h"
#include "golden_scores.h"

namespace isnet {
namespace {

using namespace isnet::testing;

class GoldenScores : public ::testing::TestWithParam<std::size_t> {
 protected:
  const nlohmann::json& test() const { return golden_scores().at("cases").at(GetParam()); }
};

class GoldenChoices : public GoldenScores {};  // of cases without weights

TEST_P(GoldenScores, EveryFigureIsThatOfScikitLearn) {
  const Predictions predictions = predictions_of(test());
  const Figures figures(predictions, {2});
  std::vector<std::uint32_t> weights;
  if (test().contains("weights")) weights = test().at("weights").get<std::vector<std::uint32_t>>();
  const auto values = figures.values(weights);
  std::size_t compared = 0;
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto& [name, of_class] = figures.names()[i];
    const auto& expected = test().at(of_class < 0 ? "expected" : "by_class");
    if (!expected.contains(name)) {
      EXPECT_EQ(name, "top_2_accuracy") << "is compared with nothing";  // of two classes it is 1
      continue;
    }
    const double wanted = of_class < 0 ? expected.at(name) : expected.at(name).at(of_class);
    EXPECT_NEAR(values[i], wanted, 1e-12) << name << " of class " << of_class;
    worst = std::max(worst, std::abs(values[i] - wanted));
    ++compared;
  }
  EXPECT_GE(compared, test().at("expected").size() + 5 * predictions.classes());
  RecordProperty("worst_difference", cat(worst));
}

TEST_P(GoldenChoices, CurvesHaveTheSamePoints) {
  const Predictions predictions = predictions_of(test());
  const auto scores = predictions.probabilities_of(1);
  const auto positive = predictions.is_of_class(1);
  const Ranking ranking(scores);
  const auto compare = [&](std::vector<CurvePoint> curve, const nlohmann::json& expected, bool from_below) {
    if (from_below) std::reverse(curve.begin(), curve.end());
    std::vector<double> x, y, thresholds;
    for (const auto& point : curve) {
      x.push_back(point.x);
      y.push_back(point.y);
      if (std::isfinite(point.threshold)) thresholds.push_back(point.threshold);
    }
    expect_near(x, expected.at("x"), 1e-15);
    expect_near(y, expected.at("y"), 1e-15);
    expect_near(thresholds, expected.at("thresholds"), 0);
  };
  compare(roc_curve(scores, ranking, positive), test().at("roc"), false);
  compare(precision_recall_curve(scores, ranking, positive), test().at("precision_recall"), true);
}

TEST_P(GoldenChoices, TheTemperatureIsTheRootThatSciPyFinds) {
  const Temperature found = fit_temperature(predictions_of(test()));
  EXPECT_NEAR(found.value, test().at("temperature").at("value").get<double>(), 1e-12);
  EXPECT_NEAR(found.loss_after, test().at("temperature").at("loss").get<double>(), 1e-12);
  EXPECT_FALSE(found.bounded);
  EXPECT_LT(found.loss_after, found.loss_before);
}

TEST_P(GoldenChoices, ThresholdsAreThoseOfASearchOverAll) {
  const Predictions predictions = predictions_of(test());
  const auto scores = predictions.probabilities_of(1);
  const auto positive = predictions.is_of_class(1);
  for (const auto& [criterion, expected] : test().at("operating_points").items()) {
    const double threshold = choose_threshold(scores, positive, parse_criterion(criterion));
    EXPECT_EQ(threshold, expected.at("threshold").get<double>()) << criterion;
    const BinaryCounts counts = counts_at(scores, positive, threshold);
    EXPECT_EQ(nlohmann::json(
                  {counts.true_positive, counts.false_positive, counts.false_negative, counts.true_negative}),
              expected.at("counts"))
        << criterion;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenScores, ::testing::Range<std::size_t>(0, 5));
INSTANTIATE_TEST_SUITE_P(Cases, GoldenChoices, ::testing::Range<std::size_t>(0, 3));

TEST(Reliability, BinsAreThoseOfScikitLearn) {
  const auto& test = golden_scores().at("cases").at(2);
  std::vector<double> frequency, confidence;
  for (const auto& bin : reliability_curve(predictions_of(test))) {
    if (bin.weight == 0) continue;
    frequency.push_back(bin.frequency);
    confidence.push_back(bin.confidence);
  }
  expect_near(frequency, test.at("reliability").at("frequency"), 1e-12);
  expect_near(confidence, test.at("reliability").at("confidence"), 1e-12);
}

TEST(ImplicitClass, ItsThresholdIsThatOfASearchOverAll) {
  const auto& test = golden_scores().at("implicit_class");
  nlohmann::json flags = test;
  flags["labels"] = nlohmann::json::array();
  for (const int label : test.at("labels"))
    for (int k = 0; k < 3; ++k) flags["labels"].push_back(label == k ? 1 : 0);
  const Predictions predictions = predictions_of(flags, true, 3);
  const ImplicitClass found = choose_implicit_class(predictions, "normal", "validation");
  EXPECT_EQ(found.threshold, test.at("threshold").get<double>());
  EXPECT_NEAR(found.macro_f1, test.at("macro_f1").get<double>(), 1e-12);
  EXPECT_EQ(nlohmann::json(implicit_confusion(predictions, found.threshold, "validation").counts()),
            test.at("confusion_matrix"));
  EXPECT_NEAR(implicit_auc(predictions).value, test.at("auc").get<double>(), 1e-12);
}

TEST(Figures, OfAResampledSetAreThoseOfTheSetWithItsSamplesRepeated) {
  const Predictions predictions = predictions_of(golden_scores().at("cases").at(1));
  std::mt19937 random(3);
  std::vector<std::uint32_t> weights;
  std::vector<std::size_t> repeated;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    weights.push_back(static_cast<std::uint32_t>(random() % 3));
    for (std::uint32_t n = 0; n < weights.back(); ++n) repeated.push_back(i);
  }
  const Predictions copied = predictions.subset(repeated);
  const auto weighted = Figures(predictions).values(weights), direct = Figures(copied).values();
  for (std::size_t i = 0; i < direct.size(); ++i) EXPECT_NEAR(weighted[i], direct[i], 1e-12) << i;
}

TEST(Figures, AreasOfOneClassAloneAreUndefinedAndNothingElseIs) {
  Predictions predictions = predictions_of(golden_scores().at("cases").at(0));
  std::fill(predictions.labels.begin(), predictions.labels.end(), 1);
  const Figures figures(predictions);
  const auto values = figures.values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto& [name, of_class] = figures.names()[i];
    const bool of_curves = name.starts_with("auc") || (name == "average_precision" && of_class == 0);
    EXPECT_EQ(std::isnan(values[i]), of_curves) << name << " of class " << of_class;
  }
}

TEST(Curves, OfNoMorePointsThanAreWantedAreWhole) {
  std::vector<double> scores;
  std::vector<std::uint8_t> positive;
  for (int i = 0; i < 99; ++i) {
    scores.push_back(i);
    positive.push_back(i % 10 == 0);
  }
  const Ranking ranking(scores);
  EXPECT_EQ(roc_curve(scores, ranking, positive, 100).size(), 100u);
  EXPECT_EQ(precision_recall_curve(scores, ranking, positive, 100).size(), 99u);
}

TEST(Curves, ThinnedOnesKeepTheirEndsAndPointsOfTheWhole) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform;
  std::vector<double> scores;
  std::vector<std::uint8_t> positive;
  for (int i = 0; i < 20000; ++i) {
    positive.push_back(random() % 3 == 0);
    scores.push_back(uniform(random) + 0.2 * positive.back());
  }
  const Ranking ranking(scores);
  const auto whole = roc_curve(scores, ranking, positive),
             thinned = roc_curve(scores, ranking, positive, 200);
  EXPECT_EQ(whole.size(), 20001u);
  EXPECT_LE(thinned.size(), 202u);
  EXPECT_GE(thinned.size(), 150u);
  EXPECT_EQ(thinned.front().x, 0);
  EXPECT_EQ(thinned.back().y, 1);
  for (const auto& point : thinned)
    EXPECT_TRUE(std::any_of(whole.begin(), whole.end(), [&](const CurvePoint& one) {
      return one.threshold == point.threshold && one.x == point.x && one.y == point.y;
    }));
}

}  // namespace
}  // namespace isnet
