// The classification part of every objective: cross-entropy and its relatives.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/options.h"
#include "model/batch.h"
#include "model/lrp/tape.h"

namespace isnet {

/// --class-weights, --positive-weights, --label-smoothing, --focal-gamma.
std::vector<OptionSpec> classification_loss_options();

/// Single labels (B): the mean over samples of w_y · Σ_k t_k · (1 − p_k)^γ · (−log p_k), with t the label
/// smoothed to (1 − ε)·onehot + ε/K and, under smoothing, each class's term weighted by w_k:
/// torch.nn.CrossEntropyLoss(weight, label_smoothing), and for γ > 0 the focal loss of Lin et al. (2017). The
/// mean divides by Σ w_y, as torch does: of the batch, or, where Batch::mean_weight is known, of what the
/// batch is a part of. Multi-label (B×K): the mean of w_k · (1 − p_t)^γ · BCE(t, p; positive weight), t = (1
/// − ε)·y + ε/2: torch.nn.BCEWithLogitsLoss(weight, pos_weight),
/// torchvision.ops.sigmoid_focal_loss(alpha=-1).
class ClassificationLoss {
 public:
  /// Errors: usage (no numbers; "balanced", which `isnet train` replaces by numbers from its data).
  explicit ClassificationLoss(const OptionValues& options);

  /// logits: B×K. A scalar in float32 or better. Errors: data (no labels), usage (another number of weights
  /// than classes, an option that does not go with these labels).
  at::Tensor operator()(const at::Tensor& logits, const Batch& batch) const;

  /// The loss of a forward pass: the weighted sum over its heads (Tape::add_head), or the loss of its logits.
  at::Tensor operator()(const Tape& tape, Value logits, const Batch& batch) const;

  /// By which single labels are weighted; empty: all alike.
  const std::vector<double>& class_weights() const { return class_weights_; }

 private:
  at::Tensor single(const at::Tensor& scores, const Batch& batch) const;
  at::Tensor multi(const at::Tensor& scores, const at::Tensor& labels) const;
  at::Tensor weights(const char* option, const std::vector<double>& values, const at::Tensor& scores) const;

  std::vector<double> class_weights_, positive_weights_;
  double smoothing_, gamma_;
};

/// Weights for --class-weights balanced: N / (K · n_k), whose mean over the data is 1; 0 for a class without
/// samples.
std::vector<double> balanced_class_weights(const std::vector<std::int64_t>& counts, std::int64_t samples);
/// Weights for --positive-weights balanced: (N − n_k) / n_k; 1 for a class without samples.
std::vector<double> balanced_positive_weights(const std::vector<std::int64_t>& counts, std::int64_t samples);

}  // namespace isnet
