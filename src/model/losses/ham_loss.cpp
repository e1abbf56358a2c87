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

// The mean of numerator/denominator over the classes that there are.
at::Tensor mean_quotient(const at::Tensor& numerators, const at::Tensor& denominators,
                         const at::Tensor& counts) {
  const double present = std::max(counts.gt(0).sum().item<double>(), 1.0);
  return (numerators / denominators.clamp_min(least).to(numerators.options())).sum() / present;
}

// totals: numerators, denominators and counts over all ranks.
at::Tensor supervision_loss(const Supervised& own, const at::Tensor& totals, bool several_ranks) {
  const at::Tensor all = totals.view({3, -1});
  if (!several_ranks) return mean_quotient(own.numerator, own.denominator, all[2]);
  // N/D of all ranks: its value and its gradient by this rank's N and D.
  const at::Tensor n = all[0].to(own.numerator.options());
  const at::Tensor d = all[1].clamp_min(least).to(own.numerator.options());
  const at::Tensor change = at::where(d > least, own.denominator - own.denominator.detach(), 0.0);
  const double present = std::max(all[2].gt(0).sum().item<double>(), 1.0);
  return (own.numerator / d - n / d.square() * change).sum() / present;
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
      weight("ham-bound", "0.001", "ham: weight of the loss of classes' maps outside the abnormal"),
      weight("ham-union", "0.001", "ham: weight of the loss of what is abnormal and of no class"),
      weight("ham-supervision", "0.5", "ham: weight of the masks' loss"),
      weight("ham-steepness", "100", "ham: of the soft threshold of maps"),
      weight("ham-threshold", "0.4", "ham: value of maps at the soft threshold (0.75 in the authors' code)")};
}

// τ(A): a soft threshold.
at::Tensor HamLoss::inside(const at::Tensor& maps) const {
  return (steepness_ * (maps - threshold_)).sigmoid();
}

// A class attends inside of the abnormal: what of its maps does not, of each class the sum over images. maps,
// anomaly: of labels only.
at::Tensor HamLoss::outside_of_abnormal(const at::Tensor& maps, const at::Tensor& anomaly,
                                        const at::Tensor& labels) const {
  const at::Tensor all = sum_of_map(maps);
  const at::Tensor common = sum_of_map(at::minimum(maps, anomaly) * inside(maps));
  return (labels * (all - common) / all.clamp_min(least)).sum(0);
}

// What is abnormal is some class's: what is none's, the sum over images.
at::Tensor HamLoss::of_no_class(const at::Tensor& maps, const at::Tensor& anomaly,
                                const at::Tensor& abnormal) const {
  const at::Tensor all = sum_of_map(anomaly);
  const at::Tensor any = std::get<0>(maps.max(1, /*keepdim=*/true));
  const at::Tensor common = sum_of_map(at::minimum(any, anomaly) * inside(anomaly));
  return (abnormal * (all - common) / all.clamp_min(least)).sum();
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
  const at::Tensor labels = totals.narrow(0, 0, classes);
  const at::Tensor bound = outside_of_abnormal(maps, anomaly, in.labels);
  const at::Tensor unity = of_no_class(maps, anomaly, abnormal);

  HamLosses losses;
  losses.classification = at::binary_cross_entropy_with_logits(in.classes, in.labels);
  losses.anomaly = at::binary_cross_entropy_with_logits(in.anomaly, abnormal);
  losses.bound = sums.weight() * mean_quotient(bound, labels, labels);
  losses.unity = sums.weight() * unity / std::max(totals[classes].item<double>(), least);
  losses.supervision =
      in.masks.defined() ? sums.weight() * supervision_loss(masks, totals.narrow(0, classes + 1, 3 * classes),
                                                            batch.ranks != nullptr)
                         : in.classes.sum() * 0;
  if (!in.masks.defined()) own.push_back(at::zeros({3 * classes}, own.front().options()));
  own.insert(own.end(), {bound, unity.view({1})});
  losses.sums = at::cat(own).detach().to(at::kDouble);
  return losses;
}

// As of one batch, from the sums of several: labels (K), abnormal images, numerator, denominator and count of
// the supervision (K each), bound (K), union.
void HamLoss::summarise(HamLosses& losses, const at::Tensor& sums) {
  const std::int64_t classes = (sums.size(0) - 2) / 5;
  const auto part = [&](std::int64_t first) { return sums.narrow(0, first, classes); };
  const at::Tensor labels = part(0), counts = part(3 * classes + 1);
  losses.bound = mean_quotient(part(4 * classes + 1), labels, labels);
  losses.unity = sums[-1] / sums[classes].clamp_min(least);
  losses.supervision = mean_quotient(part(classes + 1), part(2 * classes + 1), counts);
}

void HamLoss::compute_without_samples(std::int64_t classes, bool masks, const Batch& batch) const {
  GlobalSums(batch, at::zeros({masks ? 4 * classes + 1 : classes + 1}, at::kDouble));
}

at::Tensor HamLoss::total(const HamLosses& losses) const {
  return losses.classification + anomaly_weight_ * losses.anomaly + bound_weight_ * losses.bound +
         union_weight_ * losses.unity + supervision_weight_ * losses.supervision;
}

}  // namespace isnet
