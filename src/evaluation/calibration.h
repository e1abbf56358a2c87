// Temperature scaling: one number, chosen on validation, that makes a network less or more confident.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "evaluation/predictions.h"

namespace isnet {

/// The result of temperature scaling.
struct Temperature {
  double value = 1;      ///< logits are divided by it
  bool bounded = false;  ///< the log loss falls further beyond the limits of the search (1/1000 and 1000)
  double loss_before = 0, loss_after = 0;  ///< mean log loss of the validation samples
  std::string chosen_on;

  nlohmann::ordered_json to_json() const;
};

/// The temperature with the least log loss (Guo et al., ICML 2017): the loss is convex in 1/T, and its
/// derivative's root is bracketed. From logits, else from the logarithms of probabilities (multi-label: their
/// log odds).
Temperature fit_temperature(const Predictions& validation);

/// The same predictions with probabilities at this temperature. Decisions stay.
Predictions calibrated(Predictions predictions, const Temperature& temperature);

}  // namespace isnet
