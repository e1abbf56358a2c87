// The usual names of the splits for training, validation and testing.
#pragma once

#include <string>

namespace isnet {

/// The name by which isnet knows a split: "train" for train and training, "val" for val, valid, validation,
/// dev and development, "test" for test and testing, in any case of letters and without blanks around them.
/// Returns any other name as it is.
std::string canonical_split_name(const std::string& name);

}  // namespace isnet
