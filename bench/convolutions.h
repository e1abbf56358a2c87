// Where a step's time goes.
#pragma once

#include <functional>

namespace isnet::bench {

/// Runs `action` and returns the seconds that it spent in convolutions of any kind, on all threads; nested
/// calls count once.
double seconds_in_convolutions(const std::function<void()>& action);

}  // namespace isnet::bench
