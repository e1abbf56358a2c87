// Which parameters an option means, by patterns of their names; and groups of parameters that an optimiser
// treats alike.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "base/options.h"

namespace isnet {

/// Parameters with their names in the model.
using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

/// Parameters that are trained with the same settings.
struct ParameterGroup {
  NamedParameters parameters;
  std::string rate_name;   ///< the pattern of --lr-factors that means them; may be empty
  double rate_factor = 1;  ///< their learning rate is this × the schedule's
  bool decays = true;      ///< whether --weight-decay applies
};

/// --weight-decay-exclude, --lr-factors, --freeze, --freeze-until-epoch.
std::vector<OptionSpec> parameter_group_options();

/// Whether each of `parameters` is meant by a comma-separated list of patterns. A pattern is a glob over
/// whole names
/// (`features.denseblock1.*`), or a word: `norms` (weights of one dimension, and the biases beside them),
/// `biases`, `head` (the classifying layer, `head.weight` and `head.bias` for head name `head`), `backbone`
/// (all but the head). Errors: usage (`option` names it; a pattern that means no parameter).
std::vector<bool> matching(const std::string& option, const std::vector<std::string>& patterns,
                           const NamedParameters& parameters, const std::string& head);

/// The trainable ones of `parameters`, grouped as --weight-decay-exclude and --lr-factors say; those without
/// a gradient (requires_grad off) are left out. `head`: name of the classifying layer. Errors: usage.
std::vector<ParameterGroup> parameter_groups(const NamedParameters& parameters, const OptionValues& options,
                                             const std::string& head);

/// Applies --freeze to `parameters`. With --freeze-until-epoch 0 they are taken out of training here
/// (requires_grad off), and nothing is returned; else those are returned that are frozen until that epoch.
/// Errors: usage (nothing left to train).
NamedParameters freeze(const NamedParameters& parameters, const OptionValues& options,
                       const std::string& head);

}  // namespace isnet
