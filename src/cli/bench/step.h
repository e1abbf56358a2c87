// Both sides of `isnet bench step`: the process that compares, and those that run a variant each.
#pragma once

#include <functional>

#include "base/options.h"

namespace isnet::bench {

/// Answers requests on stdin until it ends (rounds.h): --variant plain, isnet, forward or explain. Failures
/// are answers too (child.h).
int serve_variant(OptionValues& options);

/// Runs `action` and returns the seconds that it spent in convolutions of any kind, on all threads; nested
/// calls count once.
double seconds_in_convolutions(const std::function<void()>& action);

}  // namespace isnet::bench
