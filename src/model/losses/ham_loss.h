// Losses of hierarchical attention mining (Ouyang et al., IEEE TMI 40(10), 2021).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/options.h"
#include "model/batch.h"

namespace isnet {

/// The values that the losses compare, for B images and K abnormal classes.
struct HamInputs {
  at::Tensor anomaly, classes;          ///< logits B×1, B×K
  at::Tensor anomaly_maps, class_maps;  ///< B×1×h×w, B×K×h×w, ≥ 0
  at::Tensor refined_class_maps;        ///< B×K×H×W in (0, 1)
  at::Tensor labels;                    ///< B×K, 0 or 1
  at::Tensor masks;                     ///< B×K×H×W; all 0 where an image has none; undefined: no image has
};

/// Scalars.
struct HamLosses {
  at::Tensor classification, anomaly, bound, unity, supervision;
  at::Tensor sums;  ///< what HamLoss::summarise() wants, float64; a constant
};

/// Its weights and thresholds.
class HamLoss {
 public:
  explicit HamLoss(const OptionValues& options);
  static std::vector<OptionSpec> options();

  /// Denominators count over Batch::ranks.
  HamLosses compute(const HamInputs& inputs, const Batch& batch) const;
  /// Takes part in what other ranks count, where this one has no samples.
  void compute_without_samples(std::int64_t classes, bool masks, const Batch& batch) const;
  /// Replaces bound, unity and supervision by those of several batches together, whose sums were added up.
  static void summarise(HamLosses& losses, const at::Tensor& sums);
  /// classification + pn·anomaly + bound·bound + union·unity + amse·supervision.
  at::Tensor total(const HamLosses& losses) const;

 private:
  at::Tensor inside(const at::Tensor& maps) const;
  at::Tensor outside_of_abnormal(const at::Tensor& maps, const at::Tensor& anomaly,
                                 const at::Tensor& labels) const;
  at::Tensor of_no_class(const at::Tensor& maps, const at::Tensor& anomaly, const at::Tensor& abnormal) const;

  double anomaly_weight_, bound_weight_, union_weight_, supervision_weight_, steepness_, threshold_;
};

}  // namespace isnet
