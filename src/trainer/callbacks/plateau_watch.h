// Shows --lr-schedule reduce-on-plateau the monitored metric.
#pragma once

#include "trainer/callbacks/monitoring.h"

namespace isnet {

/// Once for each epoch, with the value of its last validation (or of its training, for a train_ metric). The
/// plateau's state is in checkpoints.
class PlateauWatch : public Monitoring {
 public:
  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

 protected:
  void decide(Trainer& trainer, double value) override;
};

}  // namespace isnet
