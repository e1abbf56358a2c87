// Which samples of a split a report shows.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "evaluation/comparison.h"
#include "evaluation/predictions.h"

namespace isnet {

/// A sample, and why it is shown: "confident_error", "worst", "best", "random", in this order.
struct ChosenSample {
  std::size_t sample = 0;  ///< its place in the predictions
  std::vector<std::string> kinds;
};

/// Up to `of_each` samples of each kind: wrong decisions with the largest probability; the largest log loss;
/// right decisions with the least log loss, the classes in turn; drawn at random from `seed`. A sample is
/// chosen once, with all of its kinds. Labelled predictions.
std::vector<ChosenSample> choose_samples(const Predictions& predictions, std::size_t of_each,
                                         std::uint64_t seed);

/// {"id", "label", "predicted", "right", "probabilities": [[class, p], …], "loss", "kinds"}, and "group"
/// where there are groups. label, predicted: a number of a class, or a list of them (multi-label). The
/// probabilities are the largest five and those of the label and the prediction.
nlohmann::ordered_json sample_json(const Predictions& predictions, const ChosenSample& chosen);

/// The same for models on the same samples: "disagreement" (some are right, some wrong), those whose
/// probabilities of what is true differ most first; "all_wrong", the surest first; "random".
std::vector<ChosenSample> choose_samples(const std::vector<ComparedModel>& models, std::size_t of_each,
                                         std::uint64_t seed);

/// {"id", "label", "kinds", "models": [{"predicted", "right", "probability"}]}, and "group". The probability
/// is that of the prediction; multi-label: null.
nlohmann::ordered_json sample_json(const std::vector<ComparedModel>& models, const ChosenSample& chosen);

}  // namespace isnet
