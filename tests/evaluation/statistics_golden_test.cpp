// Intervals and tests against pROC's, statsmodels', SciPy's and NumPy's.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "evaluation/bootstrap.h"
#include "evaluation/delong.h"
#include "evaluation/figures.h"
#include "evaluation/hypothesis_tests.h"
#include "evaluation/posterior.h"
#include "golden_scores.h"

namespace isnet {
namespace {

using namespace isnet::testing;

TEST(DeLong, IntervalVarianceAndPairedTestAreThoseOfPROC) {
  for (const auto& test : golden_scores().at("delong")) {
    const auto labels = test.at("labels").get<std::vector<std::uint8_t>>();
    const auto first = test.at("first").get<std::vector<double>>();
    const auto second = test.at("second").get<std::vector<double>>();
    const std::vector<std::span<const double>> models{first, second};
    const AucCovariance of = delong(models, labels);
    expect_near(of.auc, test.at("auc"), 1e-14);
    EXPECT_NEAR(of.covariance[0], test.at("variance").at(0).get<double>(), 1e-14);
    EXPECT_NEAR(of.covariance[3], test.at("variance").at(1).get<double>(), 1e-14);
    EXPECT_NEAR(of.covariance[1], test.at("covariance").get<double>(), 1e-14);
    EXPECT_EQ(of.covariance[1], of.covariance[2]);
    const Estimate interval = delong_interval(first, labels);
    EXPECT_NEAR(interval.low, test.at("low").get<double>(), 1e-12);
    EXPECT_NEAR(interval.high, test.at("high").get<double>(), 1e-12);
    const AucDifference difference = delong_test(first, second, labels);
    EXPECT_NEAR(difference.z, test.at("z").get<double>(), 1e-11) << test.at("name");
    EXPECT_NEAR(difference.p, test.at("p").get<double>(), 1e-12);
  }
}

TEST(DeLong, SaysWhatIsUndefinedInsteadOfNaN) {
  const std::vector<double> scores{0.1, 0.7, 0.9};
  const std::vector<std::uint8_t> one_kind{1, 1, 1}, one_positive{0, 0, 1};
  EXPECT_THAT(delong_interval(scores, one_kind).note, ::testing::HasSubstr("undefined"));
  EXPECT_EQ(
      delong_interval(scores, one_kind).to_json().dump(),
      R"({"value":null,"low":null,"high":null,"method":null,"note":"undefined: all samples are of one kind"})");
  const Estimate with_few = delong_interval(scores, one_positive);
  EXPECT_EQ(with_few.value, 1);
  EXPECT_FALSE(with_few.has_interval());
  EXPECT_THAT(with_few.note, ::testing::HasSubstr("fewer than two"));
  const std::vector<double> more{0.1, 0.7, 0.9, 0.8};
  EXPECT_EQ(delong_test(more, more, std::vector<std::uint8_t>{0, 1, 1, 0}).p, 1);
}

TEST(Wilson, IntervalsAreThoseOfStatsmodels) {
  for (const auto& test : golden_scores().at("wilson")) {
    const Estimate of = wilson(test.at("part"), test.at("whole"));
    EXPECT_NEAR(of.low, test.at("low").get<double>(), 1e-12);
    EXPECT_NEAR(of.high, test.at("high").get<double>(), 1e-12);
  }
  EXPECT_FALSE(wilson(0, 0).defined());
}

TEST(McNemar, BothFormsAreThoseOfStatsmodels) {
  for (const auto& test : golden_scores().at("mcnemar")) {
    const McNemar of = mcnemar(test.at("only_first"), test.at("only_second"));
    EXPECT_NEAR(of.exact_p, test.at("exact_p").get<double>(), 1e-12);
    EXPECT_NEAR(of.statistic, test.at("statistic").get<double>(), 1e-12);
    EXPECT_NEAR(of.corrected_p, test.at("corrected_p").get<double>(), 1e-12);
  }
  EXPECT_EQ(mcnemar(0, 0).exact_p, 1);
}

TEST(Holm, AdjustedValuesAreThoseOfStatsmodels) {
  const auto& test = golden_scores().at("holm");
  auto values = test.at("p").get<std::vector<double>>();
  expect_near(holm(values), test.at("adjusted"), 1e-12);
  values.push_back(std::nan(""));
  auto adjusted = holm(values);
  EXPECT_TRUE(std::isnan(adjusted.back()));
  adjusted.pop_back();
  expect_near(adjusted, test.at("adjusted"), 1e-12);
}

// 100 000 draws: standard errors of some 0.0002 for means, 0.001 for the ends of intervals.
TEST(Posterior, MeansDeviationsAndIntervalsAreThoseOfSciPyAndNumPy) {
  const auto& test = golden_scores().at("posterior");
  const auto counts = test.at("counts").get<std::vector<std::int64_t>>();
  const ScorePosteriors of = score_posteriors(counts, 3, {.seed = 1, .draws = 100'000, .threads = 2});
  const auto compare = [](const PosteriorSummary& actual, const nlohmann::json& expected) {
    EXPECT_NEAR(actual.mean, expected.at("mean").get<double>(), 0.001);
    EXPECT_NEAR(actual.deviation, expected.at("deviation").get<double>(), 0.001);
    EXPECT_NEAR(actual.low, expected.at("hdi").at(0).get<double>(), 0.006);
    EXPECT_NEAR(actual.high, expected.at("hdi").at(1).get<double>(), 0.006);
  };
  compare(of.accuracy, test.at("accuracy"));
  compare(of.macro_f1, test.at("macro_f1"));
  for (std::size_t k = 0; k < 3; ++k) {
    compare(of.classes[k].recall, test.at("recall").at(k));
    compare(of.classes[k].precision, test.at("precision").at(k));
    compare(of.classes[k].f1, test.at("f1").at(k));
  }
}

TEST(Posterior, DoesNotDependOnThreads) {
  const std::vector<std::int64_t> counts{8, 2, 1, 9};
  const auto one = score_posteriors(counts, 2, {.seed = 4, .draws = 2000, .threads = 1});
  const auto three = score_posteriors(counts, 2, {.seed = 4, .draws = 2000, .threads = 3});
  EXPECT_EQ(one.macro_f1.to_json(), three.macro_f1.to_json());
  EXPECT_EQ(one.classes[1].precision.to_json(), three.classes[1].precision.to_json());
  EXPECT_LE(affordable_draws(1000, 100'000), 1000u);
}

TEST(Bootstrap, PercentilesAreThoseOfNumPysReplicates) {
  const auto& test = golden_scores().at("bootstrap");
  const Predictions predictions = predictions_of(test, false, 2);
  const Figures figures(predictions);
  const ResamplingPlan plan(predictions.size(), predictions.labels);
  const auto replicates = bootstrap(plan, [&](SampleWeights weights) { return figures.values(weights); },
                                    {.seed = 2, .replicates = 20'000, .threads = 2});
  // An accuracy of 100 samples moves in steps of 0.01.
  for (const auto& [name, tolerance] : {std::pair{"accuracy", 0.0101}, {"auc_macro", 0.004}}) {
    Estimate estimate;
    const std::size_t index = figures.index({name, -1});
    estimate.value = figures.values()[index];
    add_percentile_interval(estimate, replicates, index, plan.by_group());
    EXPECT_EQ(estimate.method, "bootstrap");
    EXPECT_NEAR(estimate.low, test.at(name).at(0).get<double>(), tolerance) << name;
    EXPECT_NEAR(estimate.high, test.at(name).at(1).get<double>(), tolerance) << name;
  }
}

TEST(Bootstrap, ReplicatesDependOnSeedAndNumberAlone) {
  const std::vector<std::int64_t> strata{0, 0, 0, 1, 1, 1, 1, 2};
  const ResamplingPlan plan(8, strata);
  const auto row = [&](int threads) {
    return bootstrap(plan, [](SampleWeights w) { return std::vector<double>(w.begin(), w.end()); },
                     {.seed = 9, .replicates = 50, .threads = threads});
  };
  const auto one = row(1);
  EXPECT_EQ(one, row(4));
  EXPECT_NE(one[0], one[1]);
  for (const auto& weights : one) {
    EXPECT_EQ(weights[0] + weights[1] + weights[2], 3) << "of each class as many as there are";
    EXPECT_EQ(weights[7], 1);
  }
}

TEST(Bootstrap, ImagesOfAGroupAreDrawnTogether) {
  const std::vector<std::string> groups{"p1", "p1", "p2", "p2", "p2", "", ""};
  const std::vector<std::int64_t> strata{0, 0, 0, 0, 0, 0, 0};
  const ResamplingPlan plan(7, strata, groups);
  EXPECT_EQ(plan.units(), 4u);
  EXPECT_TRUE(plan.by_group());
  for (std::uint64_t r = 0; r < 20; ++r) {
    const auto weights = plan.weights(1, r);
    EXPECT_EQ(weights[0], weights[1]);
    EXPECT_EQ(weights[2], weights[4]);
    EXPECT_EQ(weights[0] + weights[2] + weights[5] + weights[6], 4u);
  }
}

TEST(Bootstrap, PValuesCountReplicatesOnTheOtherSideOfZero) {
  std::vector<std::vector<double>> replicates;
  for (int i = 0; i < 99; ++i) replicates.push_back({i < 4 ? -1.0 : 1.0});
  EXPECT_DOUBLE_EQ(bootstrap_p(replicates, 0), 2 * 5 / 100.0);
  EXPECT_TRUE(std::isnan(bootstrap_p({}, 0)));
}

}  // namespace
}  // namespace isnet
