// Which heatmaps a step computes. Chosen by name (--heatmaps).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "base/registry.h"
#include "model/batch.h"
#include "model/lrp/walk.h"

namespace isnet {

/// The start of a walk, and which class each of the M maps explains: B×M (int64), or undefined when the maps
/// are those of all classes in order.
struct Selected {
  LrpStart start;
  at::Tensor classes;
};

class HeatmapSelection {
 public:
  virtual ~HeatmapSelection() = default;
  /// Draws depend on (seed, batch.epoch, sample id) only.
  virtual Selected select(const Logits& logits, const Batch& batch, std::uint64_t seed) const = 0;
  /// How many kinds of maps there are: equal numbers of each, one kind behind the other, with cuts of its own
  /// (--cut, --tune-cut).
  virtual int groups() const { return 1; }
};

using HeatmapSelectionFactory = std::function<std::unique_ptr<HeatmapSelection>(const OptionValues&)>;
Registry<HeatmapSelectionFactory>& heatmap_selections();

/// A start at one logit for each image. classes: B×M (int64).
LrpStart start_at(const at::Tensor& classes, const at::Tensor& logits);

}  // namespace isnet
