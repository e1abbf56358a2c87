#include "trainer/debugging_aids.h"

#include <ATen/Context.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include "trainer/options.h"

namespace isnet {

using torch::autograd::AnomalyMode;

DebuggingAids::DebuggingAids(const TrainerOptions& options)
    : anomaly_before_(AnomalyMode::is_enabled()),
      check_nan_before_(AnomalyMode::should_check_nan()),
      deterministic_before_(at::globalContext().deterministicAlgorithms()),
      warn_only_before_(at::globalContext().deterministicAlgorithmsWarnOnly()) {
  if (options.detect_anomaly) AnomalyMode::set_enabled(true, /*check_nan=*/true);
  if (options.deterministic) at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
}

DebuggingAids::~DebuggingAids() {
  AnomalyMode::set_enabled(anomaly_before_, check_nan_before_);
  at::globalContext().setDeterministicAlgorithms(deterministic_before_, warn_only_before_);
}

}  // namespace isnet
