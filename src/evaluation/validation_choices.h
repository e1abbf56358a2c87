// What may be chosen by looking at labels: on validation samples only, to be applied to others.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "evaluation/calibration.h"
#include "evaluation/implicit_class.h"
#include "evaluation/operating_points.h"

namespace isnet {

/// The choices to make.
struct ValidationRequest {
  bool calibrate = false;
  std::vector<OperatingCriterion> criteria;
  std::string implicit_class;  ///< its name; empty: there is none

  bool any() const { return calibrate || !criteria.empty() || !implicit_class.empty(); }
};

/// The choices made.
struct ValidationChoices {
  std::optional<Temperature> temperature;
  std::vector<OperatingPoint> operating_points;  ///< for each criterion and class; `counts` are empty
  std::optional<ImplicitClass> implicit_class;
};

/// Two classes need the operating points of the second one alone: the first one's are the same turned round.
/// `split`: the name of the validation samples. Errors: data (no labels, see choose_implicit_class()).
ValidationChoices choose_on_validation(const Predictions& validation, const ValidationRequest& request,
                                       const std::string& split);

/// The classes whose one-versus-rest figures say something of their own: with two classes the second, else
/// all.
std::vector<std::size_t> telling_classes(const Predictions& predictions);

}  // namespace isnet
