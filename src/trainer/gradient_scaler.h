// Gradient scaling for training in float16, whose smallest numbers gradients would fall below.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/options.h"

namespace isnet {

/// The names and defaults of torch.amp.GradScaler.
struct GradientScalerOptions {
  bool enabled = false;
  double init_scale = 65536;
  double growth_factor = 2, backoff_factor = 0.5;
  std::int64_t growth_interval = 2000;  ///< steps without an overflow after which the scale grows
};

/// --grad-scaler-init-scale, --grad-scaler-growth-interval
std::vector<OptionSpec> gradient_scaler_options();
/// On with --precision 16-mixed.
GradientScalerOptions gradient_scaler(const OptionValues& options);

/// In each step: backward(scale(loss)) …, unscale(parameters), the optimiser's step unless that found an
/// overflow, update(). Reduced gradients are the same on all ranks, and so is what is decided from them.
/// Does nothing where it is not enabled.
class GradientScaler {
 public:
  explicit GradientScaler(const GradientScalerOptions& options = {});

  bool enabled() const { return options_.enabled; }
  /// The loss times the scale; 0-dimensional, as the loss.
  at::Tensor scale(const at::Tensor& loss) const;
  /// Divides the gradients of `parameters` by the scale, in place. Returns whether one of them is not finite:
  /// then the step has to be left out. Once for each step.
  bool unscale(const std::vector<at::Tensor>& parameters);
  /// The end of a step: the scale falls after an overflow, and grows after many steps without one.
  void update();
  /// Whether gradients that are not finite may be an overflow that a smaller scale avoids.
  bool may_fall() const { return current() > 1; }
  double current() const;

  nlohmann::json state() const;
  /// Errors: checkpoint.
  void load_state(const nlohmann::json& state);

 private:
  GradientScalerOptions options_;
  at::Tensor scale_, growth_tracker_, found_;  // float32, int32, float32: one number each, on the CPU
};

}  // namespace isnet
