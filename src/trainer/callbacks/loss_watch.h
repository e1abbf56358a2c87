// A hint where a training blows up in its first steps.
#pragma once

#include <cstdint>
#include <string>

#include "trainer/callback.h"

namespace isnet {

/// What a loss that rises in the first steps means: "" as long as it does not explode. Knows no trainer.
class LossExplosion {
 public:
  /// Takes the loss of the next step. Returns the hint, once.
  std::string next(double loss);

 private:
  std::int64_t steps_ = 0;
  double first_ = 0, lowest_ = 0;
  bool said_ = false;
};

/// Watches the loss of the main rank's batches where gradients are not clipped, and warns once.
class LossWatch : public Callback {
 public:
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;

 private:
  LossExplosion explosion_;
};

}  // namespace isnet
