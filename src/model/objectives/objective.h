// Objectives: what a step computes from a batch. Chosen by name (--objective).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/registry.h"
#include "model/batch.h"
#include "model/network.h"

namespace isnet {

/// The losses of a batch; scalars that are means over its samples.
struct Losses {
  at::Tensor total;                                       ///< what is minimised
  std::vector<std::pair<std::string, at::Tensor>> parts;  ///< for metrics: ("loss_classification", …), …
  at::Tensor logits;                                      ///< B×K
};

class Objective {
 public:
  virtual ~Objective() = default;

  /// Runs the network on the batch, in the mode the network is in (train() or eval()).
  virtual Losses compute(Network& network, const Batch& batch) = 0;

  /// Whether batches must have masks.
  virtual bool needs_masks() const { return false; }
};

/// Options that every objective may read: seed.
using ObjectiveFactory = std::function<std::unique_ptr<Objective>(const OptionValues&)>;
Registry<ObjectiveFactory>& objectives();

/// Cross-entropy (labels B), or binary cross-entropy with logits (labels B×K), mean.
at::Tensor classification_loss(const at::Tensor& logits, const at::Tensor& labels);

/// The tape's context for this batch in the network's mode.
TapeContext context_for(const Network& network, const Batch& batch, std::uint64_t seed, bool recording);

}  // namespace isnet
