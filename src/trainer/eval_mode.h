// A network in eval mode for a while.
#pragma once

#include "model/network.h"

namespace isnet {

/// Eval mode while it lives, then the mode of before.
class EvalMode {
 public:
  explicit EvalMode(Network& network) : network_(network), training_(network.is_training()) {
    network_.eval();
  }
  ~EvalMode() { network_.train(training_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Network& network_;
  bool training_;
};

}  // namespace isnet
