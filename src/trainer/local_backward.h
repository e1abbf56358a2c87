// When the part of a backward pass ends that this rank does alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/profile.h"

namespace isnet {

/// Made before loss.backward(), asked after it. What lies between the last local gradient and the end of the
/// reduction is waiting for buckets that are still under way.
class LocalBackward {
 public:
  /// Watches only where a step is being measured.
  explicit LocalBackward(const at::Tensor& loss);
  bool watched() const { return times_->reduced != profile::Clock::time_point(); }
  /// When the last gradient of this rank was there.
  profile::Clock::time_point gradients_there() const { return times_->local; }
  /// When the gradients were averaged.
  profile::Clock::time_point reduced() const { return times_->reduced; }

 private:
  struct Times {
    profile::Clock::time_point local, reduced;
  };
  std::shared_ptr<Times> times_ = std::make_shared<Times>();
};

}  // namespace isnet
