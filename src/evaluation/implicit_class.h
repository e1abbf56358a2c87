// A class without an output: "none of them" is predicted where no class is probable enough.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "evaluation/confusion.h"
#include "evaluation/estimate.h"
#include "evaluation/predictions.h"

namespace isnet {

/// The implicit class, and from which probability on a sample is of another one.
struct ImplicitClass {
  std::string name;
  double threshold = 0.5;
  double macro_f1 = 0;  ///< of the validation samples
  std::string chosen_on;
};

/// Searches the threshold with the largest macro F1 over the K + 1 classes among all that tell the validation
/// samples apart, the lowest among equals: O(N log N + N·K). A sample whose largest probability is below the
/// threshold is of the implicit class. Validation: multi-label, with at most one label a sample; none means
/// the implicit class. Errors: data (several labels in a sample, no sample of the implicit class), beginning
/// with `where`.
ImplicitClass choose_implicit_class(const Predictions& validation, const std::string& name,
                                    const std::string& where);

/// The decisions of K + 1 classes, the implicit one last.
ConfusionMatrix implicit_confusion(const Predictions& predictions, double threshold,
                                   const std::string& where);

/// Samples of the implicit class against the rest, by 1 − max p; DeLong's interval.
Estimate implicit_auc(const Predictions& predictions);

}  // namespace isnet
