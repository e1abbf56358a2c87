#include "evaluation/validation_choices.h"

#include <numeric>

#include "base/error.h"

namespace isnet {

std::vector<std::size_t> telling_classes(const Predictions& predictions) {
  if (predictions.kind == ScoreKind::single_label && predictions.classes() == 2) return {1};
  std::vector<std::size_t> all(predictions.classes());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

ValidationChoices choose_on_validation(const Predictions& validation, const ValidationRequest& request,
                                       const std::string& split) {
  if (!validation.labelled())
    fail(ErrorKind::data, "split ", split, " has no labels: nothing can be chosen on it");
  ValidationChoices choices;
  if (request.calibrate) {
    choices.temperature = fit_temperature(validation);
    choices.temperature->chosen_on = split;
  }
  for (const std::size_t k : telling_classes(validation)) {
    const std::vector<double> scores = validation.probabilities_of(k);
    const std::vector<std::uint8_t> positive = validation.is_of_class(k);
    for (const auto& criterion : request.criteria) {
      OperatingPoint point;
      point.criterion = criterion;
      point.of_class = k;
      point.class_name = validation.class_names[k];
      point.chosen_on = split;
      point.threshold = choose_threshold(scores, positive, criterion);
      point.validation = counts_at(scores, positive, point.threshold);
      choices.operating_points.push_back(std::move(point));
    }
  }
  if (!request.implicit_class.empty()) {
    if (validation.kind != ScoreKind::multi_label)
      fail(ErrorKind::usage,
           "--implicit-class: is not allowed with data of one class each; allowed: with several labels or "
           "none");
    choices.implicit_class = choose_implicit_class(validation, request.implicit_class, "split " + split);
    choices.implicit_class->chosen_on = split;
  }
  return choices;
}

}  // namespace isnet
