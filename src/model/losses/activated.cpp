// Heatmap loss, version 1: Bassi & Cavalli, arXiv 2202.00232, first version.
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "model/losses/heatmap_loss.h"

namespace isnet {
namespace {

class Activated : public HeatmapLoss {
 public:
  Activated(double e, double eps) : e_(e), eps_(eps) {}

  at::Tensor compute(const at::Tensor& heatmaps, const at::Tensor& masks, const at::Tensor&,
                     const AcrossRanks* across) const override {
    const at::Tensor r = heatmaps.to(at::promote_types(heatmaps.scalar_type(), at::kFloat));
    const at::Tensor scaled = (r / (variance(r, across) + eps_).sqrt()).abs();
    const at::Tensor l = (scaled * (1 - resized_masks(masks, r))).sum({2, 3, 4});  // B×M
    // At the largest number below 1 the logarithm is finite.
    const double below_one = r.scalar_type() == at::kDouble ? 1 - 0x1p-53 : 1 - 0x1p-24;
    return -at::log(1 - (l / (l + e_)).clamp(0, std::min(1 - eps_, below_one))).mean();
  }

 private:
  // Unbiased, over the whole tensor of the batch.
  static at::Tensor variance(const at::Tensor& r, const AcrossRanks* across) {
    if (!across) return r.var(/*unbiased=*/true);
    const at::Tensor own = at::full({}, r.numel(), r.options().dtype(at::kDouble));
    const double n = across->gather(own).sum().item<double>();
    const at::Tensor mean = across->sum(r.sum()) / n;
    return across->sum((r - mean).square().sum()) / (n - 1);
  }

  double e_, eps_;
};

const Registration<HeatmapLossFactory> activated(
    heatmap_losses(),
    {"activated",
     "Version 1: one variance for the whole batch, sum over the background",
     {real_option("loss-e", "1", "E: relevance at which the background's loss is half of its maximum", 0,
                  std::numeric_limits<double>::infinity(), true),
      real_option("loss-eps", "0.0001",
                  "activated: added to the variance; also how far the clamp stays from 1",
                  0, 1, true)},
     [](const OptionValues& options) {
       return std::make_unique<Activated>(options.real("loss-e"), options.real("loss-eps"));
     }});

}  // namespace
}  // namespace isnet
