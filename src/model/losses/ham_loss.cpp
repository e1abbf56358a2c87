#include "model/losses/ham_loss.h"

#include <ATen/ATen.h>

#include <tuple>

#include "model/global_sums.h"

namespace isnet {
namespace {

constexpr double least = 1e-5;  // of denominators

at::Tensor sum_of_map(const at::Tensor& maps) {
  return maps.flatten(2).sum(2);
}

// Squared differences of maps and masks where there are masks, and what they are divided by: K each.
struct Supervised {
  at::Tensor numerator, denominator, count;
};

Supervised supervised(const at::Tensor& q, const at::Tensor& masks) {
  const at::Tensor area = sum_of_map(masks);  // B×K
  const at::Tensor v = area.clamp_max(1) * area.sum(1, /*keepdim=*/true).clamp_max(1);
  return {(v * sum_of_map((q - masks).square())).sum(0), (v * (sum_of_map(q) + area)).sum(0), v.sum(0)};
}

}  // namespace

HamLoss::HamLoss(const OptionValues& options)
    : anomaly_weight_(options.real("ham-anomaly")),
      bound_weight_(options.real("ham-bound")),
      union_weight_(options.real("ham-union")),
      supervision_weight_(options.real("ham-supervision")),
      steepness_(options.real("ham-steepness")),
      threshold_(options.real("ham-threshold")) {}

std::vector<OptionSpec> HamLoss::options() {
  const auto weight = [](const char* name, const char* value, const char* help) {
    return real_option(name, value, help, 0, 1e300);
  };
  return {
      weight("ham-anomaly", "0.01", "ham: weight of the loss of abnormal or not"),
      weight("ham-bound", "0.001", "ham: weight of the loss of classes' maps outside of the abnormal"),
      weight("ham-union", "0.001", "ham: weight of the loss of what is abnormal and of no class"),
      weight("ham-supervision", "0.5", "ham: weight of the masks' loss"),
      weight("ham-steepness", "100", "ham: of the soft threshold of maps"),
      weight("ham-threshold", "0.4", "ham: value of maps at the soft threshold (0.75 in the authors' code)")};
}

// τ(A): a soft threshold.
at::Tensor HamLoss::inside(const at::Tensor& maps) const {
  return (steepness_ * (maps - threshold_)).sigmoid();
}

// A class attends inside of the abnormal. maps, anomaly: of labels only.
at::Tensor HamLoss::bound_loss(const at::Tensor& maps, const at::Tensor& anomaly, const at::Tensor& labels,
                               const at::Tensor& counts) const {
  const at::Tensor all = sum_of_map(maps);
  const at::Tensor common = sum_of_map(at::minimum(maps, anomaly) * inside(maps));
  const at::Tensor share = labels * (all - common) / all.clamp_min(least);  // B×K
  const double present = std::max(counts.gt(0).sum().item<double>(), 1.0);
  return (share.sum(0) / counts.clamp_min(least).to(share.options())).sum() / present;
}

// What is abnormal is some class's.
at::Tensor HamLoss::union_loss(const at::Tensor& maps, const at::Tensor& anomaly, const at::Tensor& abnormal,
                               double count) const {
  const at::Tensor all = sum_of_map(anomaly);
  const at::Tensor any = std::get<0>(maps.max(1, /*keepdim=*/true));
  const at::Tensor common = sum_of_map(at::minimum(any, anomaly) * inside(anomaly));
  return (abnormal * (all - common) / all.clamp_min(least)).sum() / std::max(count, least);
}

HamLosses HamLoss::compute(const HamInputs& in, const Batch& batch) const {
  const at::Tensor abnormal = in.labels.amax(1, /*keepdim=*/true);  // B×1
  const at::Tensor maps = in.labels.unsqueeze(-1).unsqueeze(-1) * in.class_maps;
  const at::Tensor anomaly = abnormal.unsqueeze(-1).unsqueeze(-1) * in.anomaly_maps;
  Supervised masks;
  std::vector<at::Tensor> own{in.labels.sum(0), abnormal.sum().view({1})};
  if (in.masks.defined()) {
    masks = supervised(in.refined_class_maps, in.masks);
    own.insert(own.end(), {masks.numerator, masks.denominator, masks.count});
  }
  const GlobalSums sums(batch, at::cat(own));
  const std::int64_t classes = in.labels.size(1);
  const at::Tensor& totals = sums.totals();

  HamLosses losses;
  losses.classification = at::binary_cross_entropy_with_logits(in.classes, in.labels);
  losses.anomaly = at::binary_cross_entropy_with_logits(in.anomaly, abnormal);
  losses.bound = sums.weight() * bound_loss(maps, anomaly, in.labels, totals.narrow(0, 0, classes));
  losses.unity = sums.weight() * union_loss(maps, anomaly, abnormal, totals[classes].item<double>());
  losses.supervision = in.classes.sum() * 0;
  if (!in.masks.defined()) return losses;
  // N/D of all ranks: its value and its gradient by this rank's N and D.
  const at::Tensor counts = totals.narrow(0, classes + 1, 3 * classes).view({3, classes});
  const double present = std::max(counts[2].gt(0).sum().item<double>(), 1.0);
  at::Tensor quotients;
  if (!batch.ranks) {
    quotients = masks.numerator / masks.denominator.clamp_min(least);
  } else {
    const at::Tensor n = counts[0].to(masks.numerator.options());
    const at::Tensor d = counts[1].clamp_min(least).to(masks.numerator.options());
    const at::Tensor change = at::where(d > least, masks.denominator - masks.denominator.detach(), 0.0);
    quotients = masks.numerator / d - n / d.square() * change;
  }
  losses.supervision = sums.weight() * quotients.sum() / present;
  return losses;
}

void HamLoss::compute_without_samples(std::int64_t classes, bool masks, const Batch& batch) const {
  GlobalSums(batch, at::zeros({masks ? 4 * classes + 1 : classes + 1}, at::kDouble));
}

at::Tensor HamLoss::total(const HamLosses& losses) const {
  return losses.classification + anomaly_weight_ * losses.anomaly + bound_weight_ * losses.bound +
         union_weight_ * losses.unity + supervision_weight_ * losses.supervision;
}

}  // namespace isnet
