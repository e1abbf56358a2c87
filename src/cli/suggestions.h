// Answers to names that a command does not know: what they are called here, by the habits of other tools.
#pragma once

#include <string>
#include <vector>

#include "base/options.h"

namespace isnet::cli {

/// A name as options are written here: lower case, dashes in place of underscores.
std::string plain_option_name(const std::string& name);

/// The options of a command that do what other tools call `name` ("epochs": max-epochs). Empty: none.
std::vector<std::string> names_elsewhere(const std::string& name, const std::vector<OptionSpec>& specs);

/// What follows "unknown option --NAME": the option that was meant, what does it here instead, or the nearest
/// name. `dashes`: what options begin with in the sentence ("--", or "" in an option file).
std::string suggestion_for(const std::string& name, const std::vector<OptionSpec>& specs,
                           const std::string& dashes = "--");

}  // namespace isnet::cli
