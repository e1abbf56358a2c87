#include "evaluation/calibration.h"

#include <algorithm>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "evaluation/estimate.h"
#include "evaluation/probability_scores.h"

namespace isnet {
namespace {

constexpr double limit = 1000;

void ensure_logits(Predictions& predictions) {
  if (!predictions.logits.empty()) return;
  constexpr double margin = std::numeric_limits<double>::epsilon();
  for (const double given : predictions.probabilities) {
    const double p = std::clamp(given, margin, 1 - margin);
    predictions.logits.push_back(predictions.kind == ScoreKind::single_label ? std::log(p)
                                                                             : std::log(p) - std::log1p(-p));
  }
}

double mean_loss(const Predictions& predictions) {
  double sum = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) sum += log_loss(predictions, i);
  return sum / static_cast<double>(predictions.size());
}

// Of the log loss by 1/T: Σ_k p_k z_k − z_label; multi-label: Σ_k (p_k − y_k) z_k.
double slope(Predictions& predictions, double inverse) {
  set_probabilities_from_logits(predictions, 1 / inverse);
  const std::size_t classes = predictions.classes();
  double sum = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i)
    for (std::size_t k = 0; k < classes; ++k)
      sum += (predictions.probabilities[i * classes + k] - predictions.is_of(i, k)) *
             predictions.logits[i * classes + k];
  return sum;
}

}  // namespace

nlohmann::ordered_json Temperature::to_json() const {
  nlohmann::ordered_json json{{"temperature", value},
                              {"chosen_on", chosen_on},
                              {"validation_log_loss_before", finite_or_null(loss_before)},
                              {"validation_log_loss_after", finite_or_null(loss_after)}};
  if (bounded) json["note"] = "the log loss falls further beyond this limit of the search";
  return json;
}

Temperature fit_temperature(const Predictions& validation) {
  Predictions work = validation;
  ensure_logits(work);
  Temperature result;
  result.loss_before = mean_loss(validation);
  const double lowest = 1 / limit;
  if (slope(work, lowest) >= 0 || slope(work, limit) <= 0) {
    result.bounded = true;
    result.value = slope(work, limit) <= 0 ? 1 / limit : limit;
  } else {
    std::uintmax_t iterations = 200;
    const auto [low, high] =
        boost::math::tools::toms748_solve([&](double inverse) { return slope(work, inverse); }, lowest, limit,
                                          boost::math::tools::eps_tolerance<double>(50), iterations);
    result.value = 2 / (low + high);
  }
  result.loss_after = mean_loss(calibrated(validation, result));
  return result;
}

Predictions calibrated(Predictions predictions, const Temperature& temperature) {
  ensure_logits(predictions);
  set_probabilities_from_logits(predictions, temperature.value);
  return predictions;
}

}  // namespace isnet
