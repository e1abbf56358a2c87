// Right for the right reasons (Ross et al., IJCAI 2017): the squared gradient of the summed log-probabilities
// by the pixels is punished outside the mask, L = L_c + P·mean_b Σ (G_b ⊙ (1 − M_b))².
#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "base/profile.h"
#include "model/losses/classification_loss.h"
#include "model/losses/heatmap_loss.h"
#include "model/objectives/forward_pass.h"
#include "model/objectives/heatmap_weight.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

class RightReasons : public Objective {
 public:
  explicit RightReasons(const OptionValues& options)
      : seed_(static_cast<std::uint64_t>(options.integer("seed"))),
        weights_(options.text("heatmap-weight"), std::numeric_limits<double>::infinity()),
        weight_(weights_.last()),
        sigmoid_(options.text("rrr-probabilities") == "sigmoid"),
        classification_loss_(options) {}

  bool needs_masks() const override { return true; }
  std::vector<double> class_weights() const override { return classification_loss_.class_weights(); }

  Losses compute(Network& network, const Batch& batch) override {
    if (!batch.masks.defined())
      fail(ErrorKind::data,
           "the data set has no masks, which --objective rrr needs; add them, or train a "
           "classifier");
    profile::Scope scope(profile::Phase::forward);
    const ForwardPass pass = forward_(network, batch, seed_);
    scope.next(profile::Phase::relevance);
    const at::Tensor start = log_probability_gradient(pass.tape->output(pass.logits));
    const at::Tensor gradient = input_gradients(pass, start.unsqueeze(1)).pixels;  // B×1×3×H×W
    scope.next(profile::Phase::loss);
    const at::Tensor classification = classification_loss_(*pass.tape, pass.logits, batch);
    const at::Tensor heatmap = background_loss(gradient, batch.masks);
    Losses losses;
    losses.total = classification + weight_ * heatmap;
    losses.parts = {{"loss_classification", classification}, {"loss_heatmap", heatmap}};
    losses.logits = pass.tape->prediction(pass.logits);
    const at::Tensor bad = gradient.detach().isfinite().logical_not().flatten(1).sum(1);
    const at::Tensor counted = bad.narrow(0, 0, batch.counted_samples());
    losses.nonfinite_values = counted.sum().item<std::int64_t>();
    losses.nonfinite_rows = counted.gt(0).nonzero().flatten().cpu();
    losses.nonfinite_samples = losses.nonfinite_rows.numel();
    return losses;
  }

  void start_epoch(std::int64_t epoch) override { weight_ = weights_.at(epoch); }
  bool comparable(std::int64_t epoch) const override { return weights_.at(epoch) == weights_.last(); }
  NamedNumbers settings() const override {
    if (weights_.constant()) return {};
    return {{"heatmap_weight", weight_}};
  }

 private:
  // Σ_c log p_c by the logits, live: 1 − C·p of a softmax; of sigmoids, with log(1 − p_c) too, 1 − 2σ(y).
  at::Tensor log_probability_gradient(const at::Tensor& y) const {
    if (sigmoid_) return 1 - 2 * y.sigmoid();
    if (y.size(1) == 1)
      fail(ErrorKind::usage,
           "--rrr-probabilities: 'softmax' is not allowed for one class, whose probability is always 1; "
           "allowed: sigmoid");
    return 1 - static_cast<double>(y.size(1)) * y.softmax(1);
  }

  // Of masks by class the union counts: the one map explains all classes.
  static at::Tensor background_loss(const at::Tensor& gradient, const at::Tensor& masks) {
    const at::Tensor g = gradient.to(at::promote_types(gradient.scalar_type(), at::kFloat));
    const at::Tensor m = resized_masks(masks.dim() == 5 ? masks.amax(1) : masks, g);
    return (g * (1 - m)).square().flatten(1).sum(1).mean();
  }

  std::uint64_t seed_;
  HeatmapWeight weights_;
  double weight_;
  bool sigmoid_;
  ClassificationLoss classification_loss_;
  GradientForward forward_;
};

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> options = classification_loss_options();
  options.push_back(heatmap_weight_option());
  options.push_back(choice_option("rrr-probabilities", "softmax",
                                  "rrr: probabilities whose logarithms are differentiated, whatever the "
                                  "labels are",
                                  {"softmax", "sigmoid"}));
  return options;
}

const NamedTexts defaults{{"heatmap-weight", "0.5"}, {"dropout", "0"}, {"gradient-clip-val", "1"}};

const Registration<ObjectiveFactory> registration(
    objectives(), {.name = "rrr",
                   .description = "Classifier with a penalty on squared input gradients outside the mask "
                                  "(RRR)",
                   .options = options(),
                   .make =
                       [](const OptionValues& values) {
                         return std::make_unique<RightReasons>(values.completed(defaults));
                       },
                   .defaults = defaults,
                   .capabilities = {.needs_masks = true}});

}  // namespace
}  // namespace isnet
