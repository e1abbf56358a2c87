// When reduce-on-plateau falls: PyTorch's ReduceLROnPlateau as a counter.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/options.h"

namespace isnet {

/// When reduce-on-plateau lets the learning rate fall: PyTorch's ReduceLROnPlateau.
struct PlateauOptions {
  bool larger_is_better = false;
  std::int64_t patience = 10;  ///< --lr-patience: epochs without improvement that are tolerated
  std::int64_t cooldown = 0;   ///< --lr-cooldown: epochs after a fall in which none is counted
  double threshold = 1e-4;     ///< --lr-threshold: an improvement is at least this large
  bool relative = true;        ///< --lr-threshold-mode: relative to the best value, or absolute
};

/// Counts falls of the learning rate.
class Plateau {
 public:
  explicit Plateau(const PlateauOptions& options) : options_(options) {}

  /// The metric after an epoch. Returns whether the rate falls. A value that is not finite is no improvement.
  bool observe(double value);
  std::int64_t reductions() const { return reductions_; }

  nlohmann::json state() const;
  /// Errors: checkpoint.
  void load_state(const nlohmann::json& state);

 private:
  bool better(double value) const;

  PlateauOptions options_;
  std::optional<double> best_;
  std::int64_t bad_epochs_ = 0, cooldown_left_ = 0, reductions_ = 0;
};

}  // namespace isnet
