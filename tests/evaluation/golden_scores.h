// tests/golden/scores.json: what scikit-learn, SciPy, statsmodels and pROC say.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "evaluation/predictions.h"

namespace isnet::testing {

inline const nlohmann::json& golden_scores() {
  static const auto json =
      nlohmann::json::parse(read_file(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "scores.json"));
  return json;
}

/// Labelled predictions of a case, decided.
inline Predictions predictions_of(const nlohmann::json& test, bool multi, std::size_t classes) {
  Predictions predictions;
  predictions.kind = multi ? ScoreKind::multi_label : ScoreKind::single_label;
  for (std::size_t k = 0; k < classes; ++k) predictions.class_names.push_back(cat("class", k));
  predictions.probabilities = test.at("probabilities").get<std::vector<double>>();
  for (std::size_t i = 0; i < predictions.probabilities.size() / classes; ++i)
    predictions.ids.push_back(cat("s", i));
  if (multi)
    predictions.label_flags = test.at("labels").get<std::vector<std::uint8_t>>();
  else
    predictions.labels = test.at("labels").get<std::vector<std::int64_t>>();
  decide(predictions);
  return predictions;
}

inline Predictions predictions_of(const nlohmann::json& test) {
  return predictions_of(test, test.at("multi_label"), test.at("classes"));
}

/// Largest difference from a list of expected numbers.
inline void expect_near(const std::vector<double>& actual, const nlohmann::json& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i].get<double>(), tolerance) << "element " << i;
}

}  // namespace isnet::testing
