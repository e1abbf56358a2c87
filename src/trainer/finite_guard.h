// What happens when a loss or a gradient is not finite: at once the end, or some steps without learning
// first.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "trainer/kept_tensors.h"

namespace isnet {

/// Optimiser steps whose loss or gradient is not finite are left out on all ranks alike: they learn nothing,
/// change no buffer and count as no step. After `tolerated` of them in a row the next one ends the training,
/// with parameters and buffers as the last good step left them. Decisions come from reduced values, so that
/// all ranks take the same one.
class FiniteGuard {
 public:
  explicit FiniteGuard(std::int64_t tolerated = 0) : tolerated_(tolerated) {}

  /// Before a step's first forward pass: keeps the buffers (running statistics).
  void begin_step(const std::vector<at::Tensor>& buffers);
  /// Something was not finite; the first thing of a step is its cause.
  void found(const std::string& what);
  /// Whether found() was called in this step.
  bool bad() const { return !what_.empty(); }
  /// The end of a step. A bad one: buffers go back, and it is counted; returns whether it was good.
  bool end_step();
  /// The step is not done at all: buffers go back, what was found is forgotten.
  void abandon_step();
  /// More bad steps in a row than are tolerated.
  bool exhausted() const { return in_a_row_ > tolerated_; }
  const std::string& last_cause() const { return last_cause_; }
  std::int64_t in_a_row() const { return in_a_row_; }
  std::int64_t total() const { return total_; }

  nlohmann::json state() const { return {{"in_a_row", in_a_row_}, {"total", total_}}; }
  void load_state(const nlohmann::json& state);

 private:
  std::int64_t tolerated_, in_a_row_ = 0, total_ = 0;
  std::string what_, last_cause_;
  KeptTensors buffers_;
};

}  // namespace isnet
