// Parameters whose training begins in a later epoch (--freeze with --freeze-until-epoch).
#pragma once

#include "trainer/callback.h"
#include "trainer/optimizers/parameter_groups.h"

namespace isnet {

/// Until that epoch the gradients of what --freeze names are computed and dropped: no optimiser moves or
/// decays a parameter without one, clipping does not see it, and the plan of DDP's buckets stays the same
/// throughout.
class LateParameters : public Callback {
 public:
  explicit LateParameters(OptionValues options) : options_(std::move(options)) {}
  void on_fit_start(Trainer& trainer) override;
  void on_after_backward(Trainer& trainer) override;

 private:
  OptionValues options_;
  NamedParameters parameters_;
};

}  // namespace isnet
