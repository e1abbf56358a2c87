// Ends training when the monitored metric no longer improves: Lightning's EarlyStopping.
#pragma once

#include <optional>

#include "trainer/callbacks/monitoring.h"

namespace isnet {

/// When EarlyStopping ends a training; values are the monitored metric's.
struct EarlyStoppingOptions {
  std::int64_t patience = 3;  ///< values without improvement after which training stops
  double min_delta = 0;       ///< an improvement is larger than this
  std::optional<double> stopping_threshold = std::nullopt;  ///< reached: stop at once
};

/// State in checkpoints: best value, values without improvement.
class EarlyStopping : public Monitoring {
 public:
  EarlyStopping(const EarlyStoppingOptions& options, bool larger_is_better)
      : options_(options), larger_is_better_(larger_is_better) {}

  /// Takes a value; returns the reason to stop, or "". A value that is not finite is one without improvement.
  std::string observe(double value);

  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

 protected:
  void decide(Trainer& trainer, double value) override;

 private:
  EarlyStoppingOptions options_;
  bool larger_is_better_;
  std::optional<double> best_;
  std::int64_t waited_ = 0;
};

}  // namespace isnet
