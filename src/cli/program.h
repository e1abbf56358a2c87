// The program from its words to its exit status, but for what main.cpp does with errors.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/failure.h"

namespace isnet::cli {

/// Runs what `words` (without the program's name) ask for and returns the exit status. `on_failure` becomes
/// what the command set in its Invocation, also when it throws. Errors: any of isnet::Error, and whatever
/// libraries throw.
int run_program(const std::vector<std::string>& words, std::function<void(const Failure&)>& on_failure);

/// Flushes stdout. Errors: runtime, when results could not be written; a reader that left (`isnet … | head`)
/// is none.
void finish_output();

}  // namespace isnet::cli
