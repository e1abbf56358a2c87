// Losses that penalise relevance in the background. Chosen by name (--heatmap-loss).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

#include "base/registry.h"
#include "distributed/across_ranks.h"

namespace isnet {

/// A loss of heatmaps and masks: small where relevance lies inside the masks. Has no state.
class HeatmapLoss {
 public:
  virtual ~HeatmapLoss() = default;

  /// Mean loss over the batch: a scalar in float32 or better.
  /// heatmaps: B×M×F×H×W, F = 3 at the pixels. masks: B×1×H×W or B×3×H×W, or B×M×1×H×W or B×M×3×H×W (one for
  /// each map); in [0, 1], 1 = region of interest; another size than the heatmaps' is resized
  /// (resized_masks). classes: B×M (int64), the class that each map explains; undefined: maps are all classes
  /// in order. across: where what is a property of the whole batch is one of all ranks' batches (B may be 0
  /// on some); null: of this one.
  virtual at::Tensor compute(const at::Tensor& heatmaps, const at::Tensor& masks, const at::Tensor& classes,
                             const AcrossRanks* across = nullptr) const = 0;

  /// Whether it reads --cut and --cut2, so that --tune-cut can choose them.
  virtual bool uses_cuts() const { return false; }
};

/// Makes a heatmap loss from the options that its strategy declares. Errors: usage.
using HeatmapLossFactory = std::function<std::unique_ptr<HeatmapLoss>(const OptionValues&)>;
Registry<HeatmapLossFactory>& heatmap_losses();
/// --heatmap-loss and the options of the losses.
OptionGroup heatmap_loss_group();

/// Masks as B×M'×C'×H×W (M' = 1 or M, C' = 1 or F, to be broadcast), of the heatmaps' size and type: adaptive
/// average pooling, after which every non-zero becomes 1 (only where sizes differ). Of masks with several
/// channels, but not F, the largest value over the channels counts. Errors: data (masks do not fit).
at::Tensor resized_masks(const at::Tensor& masks, const at::Tensor& heatmaps);

/// Global weighted rank pooling over the last axis: values in descending order with weights dⁱ, divided by
/// the weights' sum; 0 < d ≤ 1. Uses only the values whose weight counts in the working precision.
at::Tensor rank_pooling(const at::Tensor& values, double d);

}  // namespace isnet
