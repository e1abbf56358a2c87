// From which probability on a pixel belongs to the region: chosen on a validation split.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace isnet {

/// Pixels of background (0) and region (1) by how many of the thresholds 0.01, 0.02, … 0.99 their probability
/// of the region is above: 2×100 counts (float64), which add up over batches and ranks. probabilities: any
/// shape; classes: int64, 0 or 1, of equal shape.
at::Tensor count_by_threshold(const at::Tensor& probabilities, const at::Tensor& classes);

/// A threshold, and what it makes of the pixels that were counted.
struct MaskThreshold {
  double value = 0.5;
  at::Tensor pixel_counts;  ///< by class (rows) and predicted class, 2×2 (float64)
};

/// The threshold with the largest intersection over union of the region (and so the largest Dice), the one
/// nearest to 0.5 of equal ones. Where no mask has a region: 0.5.
MaskThreshold best_mask_threshold(const at::Tensor& counts);

}  // namespace isnet
