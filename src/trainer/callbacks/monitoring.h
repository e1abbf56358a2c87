// What callbacks that act on --monitor share: when its value is there.
#pragma once

#include <optional>

#include "trainer/callback.h"

namespace isnet {

/// Calls decide() after each validation with a monitored val_ metric, and after each epoch with a train_
/// metric: whenever there is a new value and the run may be saved. Epochs whose loss has not its last form
/// yet (Objective::comparable) are passed over.
class Monitoring : public Callback {
 public:
  void on_validated(Trainer& trainer, const Metrics& metrics) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;

 protected:
  virtual void decide(Trainer& trainer, double value) = 0;
};

}  // namespace isnet
