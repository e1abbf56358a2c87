// The options that describe a model: what commands declare, and what is stored with the model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/option_group.h"

namespace isnet {

/// --network and its options; --objective and its options; between them the groups that objectives use:
/// heatmaps, rules, losses. Strategies of two groups may share an option (options_of()).
std::vector<OptionGroup> model_option_groups();

/// --normalize.
OptionSpec normalize_option();

/// Options that describe the model: those of model_option_groups(), and precision.
std::vector<std::string> model_option_names();

/// --checkpoint, --weights and what goes with them.
std::vector<OptionSpec> trained_model_options();

/// The groups of a command that runs a trained model: these and its `own` options, the device, the model's.
std::vector<OptionGroup> trained_model_groups(std::vector<OptionSpec> own);

/// What goes into a weights file besides its tensors, so that it can be used without options. `task`:
/// task_name() of the data that the model was trained on; empty: not known.
std::map<std::string, std::string> weights_metadata(const OptionValues& options,
                                                    const std::vector<std::string>& class_names,
                                                    const std::string& task);

}  // namespace isnet
