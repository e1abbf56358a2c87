// How much work an action is, counted in what its operators are asked to do.
#pragma once

#include <functional>

namespace isnet::bench {

/// Multiply-adds of convolutions, matrix products and attention in `action`, forward and backward, whatever
/// library computes them; by their shapes, zeros in padding included. What works element by element does not
/// count. The observer is there while the action runs and slows it down a little. One call at a time.
double multiply_adds(const std::function<void()>& action);

}  // namespace isnet::bench
