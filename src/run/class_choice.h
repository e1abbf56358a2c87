// Which class's maps explain a sample, as people say it: --class of explain, --explanation-class of evaluate.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/lrp/selection.h"

namespace isnet {

/// What a choice may be, for help texts.
inline constexpr const char* class_choice_words = "NAME|N|all|label|predicted|highest";

/// Maps of the class that `choice` names: "predicted" (the class that is decided for; multi-label: all
/// classes that are, together), "highest" (the largest logit), "label" (of several labels all together),
/// "all" (a map for each class), a class's name, or its number from 0. Names come before numbers. `option`:
/// its name, for messages. Errors: usage (no such class).
std::unique_ptr<HeatmapSelection> select_classes(const std::string& choice, const char* option,
                                                 const std::vector<std::string>& class_names,
                                                 bool multi_label, const OptionValues& options);

}  // namespace isnet
