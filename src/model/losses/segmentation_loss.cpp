#include "model/losses/segmentation_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "distributed/across_ranks.h"

namespace isnet {
namespace {

OptionSpec class_weights_option() {
  OptionSpec spec = text_option("mask-class-weights", "", "W,W,…",
                                "Weight of each class of pixels in their cross-entropy, background first");
  spec.refusal = [](const std::string& text) -> std::string {
    OptionValues values({text_option("w", text, "W", "")});
    bool good = true;
    try {
      double sum = 0;
      for (const double weight : values.reals("w")) {
        good = good && std::isfinite(weight) && weight >= 0;
        sum += weight;
      }
      good = good && (text.empty() || sum > 0);
    } catch (const Error&) {
      good = false;
    }
    return good ? "" : "a number ≥ 0 for each class, not all of them 0";
  };
  return spec;
}

// In float32 or better.
at::Tensor scores_of(const at::Tensor& logits) {
  return logits.to(at::promote_types(logits.scalar_type(), at::kFloat));
}

}  // namespace

std::vector<OptionSpec> segmentation_loss_options() {
  return {choice_option("segmentation-loss", "cross-entropy",
                        "segmentation, multitask: loss of the masks; sum: both losses",
                        {"cross-entropy", "dice", "sum"}),
          switch_option("dice-foreground", false, "Leave the background's class out of the Dice loss"),
          class_weights_option()};
}

at::Tensor pixel_classes(const at::Tensor& masks, std::int64_t mask_classes, std::int64_t height,
                         std::int64_t width) {
  const std::int64_t each = masks.dim() == 5 ? masks.size(1) : 1;
  if (each != mask_classes - 1)
    fail(ErrorKind::usage, "--mask-classes: '", mask_classes, "' does not go with ", each,
         each == 1 ? " mask" : " masks", " of each image; allowed: ", each + 1);
  const at::Tensor flat = masks.dim() == 5 ? masks.squeeze(2) : masks;  // B×K×H×W
  const at::Tensor middle =
      flat.narrow(2, (flat.size(2) - height) / 2, height).narrow(3, (flat.size(3) - width) / 2, width);
  if (each == 1) return middle.squeeze(1).ge(0.5).to(at::kLong);
  const auto [largest, number] = middle.max(1);
  return at::where(largest.ge(0.5), number + 1, at::zeros_like(number));
}

at::Tensor count_pixels(const at::Tensor& classes, const at::Tensor& predicted, std::int64_t mask_classes) {
  const at::Tensor places = (classes * mask_classes + predicted).flatten();
  return at::bincount(places, {}, mask_classes * mask_classes)
      .view({mask_classes, mask_classes})
      .to(at::kDouble);
}

SegmentationLoss::SegmentationLoss(const OptionValues& options)
    : cross_entropy_(options.text("segmentation-loss") != "dice"),
      dice_(options.text("segmentation-loss") != "cross-entropy"),
      foreground_(options.flag("dice-foreground")),
      weights_(options.has("mask-class-weights") ? options.reals("mask-class-weights")
                                                 : std::vector<double>{}) {
  if (!cross_entropy_ && !weights_.empty())
    fail(ErrorKind::usage,
         "--mask-class-weights: is not allowed with --segmentation-loss dice, which weights all classes "
         "alike");
}

SegmentationLoss::NamedLosses SegmentationLoss::operator()(const at::Tensor& logits,
                                                           const at::Tensor& classes,
                                                           const Batch& batch) const {
  const at::Tensor scores = scores_of(logits);
  if (!dice_) return {{"loss_segmentation", cross_entropy(scores, classes, batch)}};
  if (!cross_entropy_) return {{"loss_segmentation", dice(scores, classes)}};
  const at::Tensor first = cross_entropy(scores, classes, batch), second = dice(scores, classes);
  return {{"loss_segmentation", first + second}, {"loss_cross_entropy", first}, {"loss_dice", second}};
}

void SegmentationLoss::without_samples(const Batch& batch) const {
  if (sums_over_ranks() && batch.ranks) batch.ranks->sum(at::zeros({2}, batch.images.options()));
}

std::pair<at::Tensor, at::Tensor> SegmentationLoss::weighted(const at::Tensor& scores,
                                                             const at::Tensor& classes) const {
  if (static_cast<std::int64_t>(weights_.size()) != scores.size(1))
    fail(ErrorKind::usage, "--mask-class-weights: ", weights_.size(), " numbers for ", scores.size(1),
         " classes of pixels; allowed: one for each");
  const at::Tensor weight = at::tensor(weights_, at::dtype(at::kDouble)).to(scores.options());
  return {at::cross_entropy_loss(scores, classes, weight, at::Reduction::Sum),
          weight.index_select(0, classes.flatten()).sum()};
}

at::Tensor SegmentationLoss::weighted_sums(const at::Tensor& logits, const at::Tensor& classes) const {
  if (!sums_over_ranks()) return {};
  const auto [sum, weights] = weighted(scores_of(logits), classes);
  return at::stack({sum, weights}).detach().to(at::kDouble);
}

at::Tensor SegmentationLoss::cross_entropy(const at::Tensor& scores, const at::Tensor& classes,
                                           const Batch& batch) const {
  if (weights_.empty()) return at::cross_entropy_loss(scores, classes);
  const auto [sum, weights] = weighted(scores, classes);
  if (!batch.ranks) return sum / weights;
  // The mean over ranks, each by its share of the samples, is Σ over all ranks / their Σ w.
  const at::Tensor all =
      batch.ranks->sum(at::stack({weights, at::full_like(weights, batch.size())}).detach());
  return sum * (all[1] / (all[0] * static_cast<double>(std::max<std::int64_t>(batch.size(), 1))));
}

at::Tensor SegmentationLoss::dice(const at::Tensor& scores, const at::Tensor& classes) const {
  const std::int64_t count = scores.size(1), first = foreground_ ? 1 : 0;
  const at::Tensor p = at::softmax(scores, 1).flatten(2);  // B×K×hw
  const at::Tensor o = at::one_hot(classes.flatten(1), count).transpose(1, 2).to(p.scalar_type());
  const at::Tensor both = (p * o).sum(2), sum = (p + o).sum(2);  // B×K
  const at::Tensor ratio = (2 * both + 1) / (sum + 1);
  return 1 - ratio.narrow(1, first, count - first).mean();
}

}  // namespace isnet
