#include "evaluation/score_report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "evaluation/comparison.h"
#include "evaluation/table.h"
#include "golden_scores.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

ReportOptions small_options() {
  ReportOptions options;
  options.bootstrap = 200;
  options.posterior_draws = 1000;
  options.top_k = {2, 50};
  return options;
}

Predictions golden_case(std::size_t index) {
  return predictions_of(golden_scores().at("cases").at(index));
}

// Null stands where a figure is undefined: written as text, NaN would look the same.
void expect_finite_numbers(const nlohmann::ordered_json& json) {
  if (json.is_number_float()) {
    EXPECT_TRUE(std::isfinite(json.get<double>()));
  }
  if (json.is_structured())
    for (const auto& part : json) expect_finite_numbers(part);
}

TEST(ScoreReport, EveryKindOfFigureHasTheIntervalThatFitsIt) {
  const ScoreReport report = make_report(golden_case(1), small_options());
  EXPECT_EQ(report.figure("accuracy").method, "Wilson");
  EXPECT_EQ(report.figure("top_2_accuracy").method, "Wilson");
  EXPECT_EQ(report.figure("recall", 0).method, "Wilson");
  EXPECT_EQ(report.figure("auc", 0).method, "DeLong");
  for (const char* name :
       {"auc_macro", "auc_hand_till", "macro_f1", "kappa", "mcc", "log_loss", "brier", "ece"})
    EXPECT_EQ(report.figure(name).method, "bootstrap") << name;
  for (const auto& [name, estimate] : report.figures) {
    if (!estimate.has_interval()) continue;
    EXPECT_LE(estimate.low, estimate.high) << name.name;
    if (name.name == "accuracy" || name.name == "auc") {
      EXPECT_LE(estimate.low, estimate.value);
      EXPECT_GE(estimate.high, estimate.value);
    }
  }
  EXPECT_THROW(report.figure("top_50_accuracy"), Error) << "there are four classes";
}

TEST(ScoreReport, WithGroupsAllIntervalsAreTheBootstrapsByGroup) {
  Predictions predictions = golden_case(0);
  for (std::size_t i = 0; i < predictions.size(); ++i) predictions.groups.push_back(cat("patient", i / 4));
  const ScoreReport report = make_report(predictions, small_options());
  EXPECT_TRUE(report.by_group);
  EXPECT_EQ(report.units, 20u);
  EXPECT_EQ(report.figure("accuracy").method, "bootstrap by group");
  EXPECT_EQ(report.figure("auc", 1).method, "bootstrap by group");
  ReportOptions by_sample = small_options();
  by_sample.resample_groups = false;
  EXPECT_EQ(make_report(predictions, by_sample).figure("auc", 1).method, "DeLong");
}

TEST(ScoreReport, DoesNotDependOnThreads) {
  ReportOptions options = small_options();
  const auto one = make_report(golden_case(2), options).to_json();
  options.threads = 3;
  EXPECT_EQ(make_report(golden_case(2), options).to_json(), one);
  options.seed = 1;
  EXPECT_NE(make_report(golden_case(2), options).to_json(), one);
}

TEST(ScoreReport, SaysWhatIsUndefinedWhereAllSamplesAreOfOneClass) {
  Predictions predictions = golden_case(0);
  std::fill(predictions.labels.begin(), predictions.labels.end(), 1);
  const ScoreReport report = make_report(predictions, small_options());
  const auto json = report.to_json();
  expect_finite_numbers(json);
  EXPECT_TRUE(json.at("scores").at("auc_macro").at("value").is_null());
  EXPECT_THAT(json.at("scores").at("auc_macro").at("note").get<std::string>(), HasSubstr("undefined"));
  EXPECT_THAT(json.at("remarks").dump(), HasSubstr("All samples are of one class"));
  EXPECT_THAT(report.figure_table(), HasSubstr("All samples are of one class"));
  EXPECT_EQ(report.csv("test").find("nan"), std::string::npos);
}

TEST(ScoreReport, OneSampleIsScoredWithoutNaN) {
  const std::vector<std::size_t> first{0};
  for (const std::size_t index : {0u, 1u, 2u}) {
    const ScoreReport report = make_report(golden_case(index).subset(first), small_options());
    expect_finite_numbers(report.to_json());
    EXPECT_EQ(report.csv("test").find("nan"), std::string::npos);
    EXPECT_FALSE(report.class_table().empty());
  }
}

TEST(ScoreReport, TablesFitATerminal) {
  Predictions predictions = golden_case(1);
  for (auto& name : predictions.class_names) name = "a class with a name that is very long indeed, " + name;
  ValidationRequest request;
  request.calibrate = true;
  request.criteria = {parse_criterion("youden"), parse_criterion("sensitivity=0.95")};
  const auto choices = choose_on_validation(predictions, request, "val");
  ScoreReport report = make_report(predictions, small_options(), &choices);
  report.groups.push_back(scores_by_group(predictions, "a long name of a column", predictions.ids));
  for (const std::string& text : {report.figure_table(), report.class_table(), report.further_tables()})
    EXPECT_LE(text_width(text), terminal_columns) << text;
}

TEST(ScoreReport, WhatWasChosenOnValidationIsAppliedAndNamed) {
  ValidationRequest request;
  request.calibrate = true;
  request.criteria = {parse_criterion("youden")};
  const auto choices = choose_on_validation(golden_case(0), request, "val");
  ASSERT_EQ(choices.operating_points.size(), 1u) << "with two classes the second one's says it all";
  Predictions others = golden_case(0);
  std::reverse(others.labels.begin(), others.labels.end());
  const auto json = make_report(others, small_options(), &choices).to_json();
  const auto& point = json.at("operating_points").at(0);
  EXPECT_EQ(point.at("chosen_on"), "val");
  EXPECT_EQ(point.at("threshold").get<double>(), choices.operating_points[0].threshold);
  EXPECT_NE(point.at("sensitivity").at("value"), point.at("validation").at("sensitivity"));
  EXPECT_EQ(json.at("calibration").at("chosen_on"), "val");
  EXPECT_NEAR(json.at("calibration").at("log_loss").at("before").get<double>(),
              json.at("scores").at("log_loss").at("value").get<double>(), 1e-12);
}

TEST(ScoreReport, TheImplicitClassIsTheLastOfItsMatrix) {
  Predictions predictions;
  predictions.kind = ScoreKind::multi_label;
  predictions.class_names = {"a", "b"};
  predictions.ids = {"1", "2", "3", "4"};
  predictions.label_flags = {1, 0, 0, 1, 0, 0, 0, 0};
  predictions.probabilities = {0.9, 0.2, 0.1, 0.8, 0.3, 0.2, 0.1, 0.4};
  decide(predictions);
  ValidationRequest request;
  request.implicit_class = "none";
  const auto choices = choose_on_validation(predictions, request, "val");
  const ScoreReport report = make_report(predictions, small_options(), &choices);
  const auto json = report.to_json().at("implicit_class");
  EXPECT_EQ(json.at("classes").dump(), R"(["a","b","none"])");
  EXPECT_EQ(json.at("confusion_matrix").dump(), "[[1,0,0],[0,1,0],[0,0,2]]");
  EXPECT_EQ(json.at("per_class").at("none").at("recall"), 1.0);
  EXPECT_THAT(report.further_tables(), HasSubstr("Implicit class 'none' below 0.8000, chosen on val"));
}

TEST(GroupTable, NamesTheWorstGroupFirst) {
  const Predictions predictions = golden_case(1);
  std::vector<std::string> sites;
  for (std::size_t i = 0; i < predictions.size(); ++i)
    sites.push_back(predictions.right(i) && i % 2 ? "good" : "bad");
  const GroupTable table = scores_by_group(predictions, "site", sites);
  ASSERT_EQ(table.groups.size(), 2u);
  EXPECT_EQ(table.groups[0].group, "bad");
  EXPECT_EQ(table.groups[1].accuracy.value, 1);
  EXPECT_EQ(table.to_json().at("worst"), "bad");
  EXPECT_NEAR(table.gap(), 1 - table.groups[0].accuracy.value, 1e-15);
  expect_finite_numbers(table.to_json());
}

TEST(Comparison, AModelDoesNotDifferFromItself) {
  const Predictions predictions = golden_case(1);
  const Comparison of = compare_models({{"a", predictions}, {"b", predictions}}, small_options());
  ASSERT_EQ(of.pairs.size(), 1u);
  EXPECT_EQ(of.pairs[0].mcnemar.exact_p, 1);
  for (const auto& area : of.pairs[0].areas) EXPECT_EQ(area.test.p, 1);
  for (const auto& figure : of.pairs[0].figures) {
    EXPECT_EQ(figure.difference.value, 0);
    EXPECT_EQ(figure.p, 1);
  }
  expect_finite_numbers(of.to_json());
}

TEST(Comparison, ABetterModelIsFoundByEveryTestAndHolmAdjustsThem) {
  const Predictions good = golden_case(1);
  Predictions poor = good;
  for (std::size_t i = 0; i < poor.size(); ++i)
    if (i % 2)
      std::rotate(poor.probabilities.begin() + 4 * i, poor.probabilities.begin() + 4 * i + 1,
                  poor.probabilities.begin() + 4 * i + 4);
  decide(poor);
  const Comparison of = compare_models({{"good", good}, {"poor", poor}, {"copy", good}}, small_options());
  ASSERT_EQ(of.pairs.size(), 3u);
  const ComparedPair& pair = of.pairs[0];
  EXPECT_LT(pair.adjusted_mcnemar_p, 0.001);
  EXPECT_EQ(pair.areas.size(), 4u);
  EXPECT_LT(pair.areas[0].adjusted_p, 0.01);
  EXPECT_GE(pair.areas[0].adjusted_p, pair.areas[0].test.p);
  for (const auto& figure : pair.figures) {
    if (figure.name != "accuracy") continue;
    EXPECT_GT(figure.difference.low, 0);
    EXPECT_NEAR(figure.p, 2 / 201.0, 1e-12);
    EXPECT_NEAR(figure.adjusted_p, 3 * figure.p, 1e-12)
        << "two pairs have the smallest p: of three comparisons";
  }
  EXPECT_LE(text_width(of.tables()), terminal_columns);
  std::istringstream lines(of.csv("test"));
  std::string line;
  while (std::getline(lines, line)) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 9) << line;
}

}  // namespace
}  // namespace isnet
