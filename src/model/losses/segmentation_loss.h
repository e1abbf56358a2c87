// How well a network segments: the loss of pixels' logits against masks.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "model/batch.h"

namespace isnet {

/// --segmentation-loss, --dice-foreground, --mask-class-weights.
std::vector<OptionSpec> segmentation_loss_options();

/// Classes of pixels, B×h×w (int64), from masks in [0, 1], of which values from 0.5 belong to the region: of
/// one mask (B×1×H×W) 0 and 1; of one for each class (B×K×1×H×W) the largest mask's number from 1, 0 where
/// none is there. h×w is the masks' middle, with ⌊(H − h)/2⌋ rows above it. Errors: usage (another number of
/// masks than `mask_classes` − 1).
at::Tensor pixel_classes(const at::Tensor& masks, std::int64_t mask_classes, std::int64_t height,
                         std::int64_t width);

/// Pixels by class (rows) and predicted class (columns), K×K (float64). classes, predicted: int64, of equal
/// shape.
at::Tensor count_pixels(const at::Tensor& classes, const at::Tensor& predicted, std::int64_t mask_classes);

/// Cross-entropy: the mean over pixels of −log p of the pixel's class, with class weights as
/// torch.nn.CrossEntropyLoss(weight) (Σ w·(−log p) / Σ w). Soft Dice: 1 − (2·Σ p·o + 1) / (Σ p + Σ o + 1),
/// sums over the pixels of one image and class, o the one-hot class; the mean over images and classes, or
/// over the classes of the foreground. Both: their sum.
class SegmentationLoss {
 public:
  /// Errors: usage.
  explicit SegmentationLoss(const OptionValues& options);

  /// A loss with its name in metrics; the first is what is minimised, the others are its parts.
  using NamedLosses = std::vector<std::pair<std::string, at::Tensor>>;
  /// logits: B×K×h×w; classes: B×h×w. Scalars in float32 or better. Collective where sums_over_ranks().
  NamedLosses operator()(const at::Tensor& logits, const at::Tensor& classes, const Batch& batch) const;
  /// Takes the part of a rank without samples where sums_over_ranks().
  void without_samples(const Batch& batch) const;

  /// The sums of a batch, where the cross-entropy has class weights: Σ w·(−log p) and Σ w (float64), which add up over
  /// batches. Undefined: it has none.
  at::Tensor weighted_sums(const at::Tensor& logits, const at::Tensor& classes) const;

  /// Whether Σ w is that of the global batch, where Batch::ranks are known.
  bool sums_over_ranks() const { return cross_entropy_ && !weights_.empty(); }

 private:
  // Σ w·(−log p) and Σ w.
  std::pair<at::Tensor, at::Tensor> weighted(const at::Tensor& scores, const at::Tensor& classes) const;
  at::Tensor cross_entropy(const at::Tensor& scores, const at::Tensor& classes, const Batch& batch) const;
  at::Tensor dice(const at::Tensor& scores, const at::Tensor& classes) const;

  bool cross_entropy_, dice_, foreground_;
  std::vector<double> weights_;
};

}  // namespace isnet
