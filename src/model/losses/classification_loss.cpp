#include "model/losses/classification_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

OptionSpec weights_option(const char* name, const char* help) {
  OptionSpec spec = text_option(name, "", "balanced|W,W,…", help);
  spec.refusal = [name](const std::string& text) -> std::string {
    if (text.empty() || text == "balanced") return "";
    OptionValues values({text_option(name, text, "W", "")});
    try {
      for (const double weight : values.reals(name))
        if (!std::isfinite(weight) || weight < 0) return "balanced, or a number ≥ 0 for each class";
    } catch (const Error&) {
      return "balanced, or a number ≥ 0 for each class";
    }
    return "";
  };
  return spec;
}

std::vector<double> weights_of(const OptionValues& options, const char* name) {
  if (!options.has(name)) return {};
  if (options.text(name) == "balanced")
    fail(ErrorKind::usage, "--", name,
         ": 'balanced' is not allowed where there is no training data; allowed: a "
         "number for each class");
  return options.reals(name);
}

// (1 − p)^γ from log p. A floor keeps the derivative of a power below 1 finite where p is 1.
at::Tensor focus(const at::Tensor& log_p, double gamma) {
  const double floor = log_p.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                          : std::numeric_limits<float>::epsilon();
  return log_p.expm1().neg().clamp_min(floor).pow(gamma);
}

}  // namespace

std::vector<OptionSpec> classification_loss_options() {
  return {weights_option("class-weights",
                         "Weight of each class in the classification loss; "
                         "balanced: inverse to the number of its samples"),
          weights_option("positive-weights",
                         "multi-label: weight of each class in samples that have it; "
                         "balanced: by their numbers"),
          real_option("label-smoothing", "0", "Share of a label that is spread over all classes", 0, 1),
          real_option("focal-gamma", "0", "Focal loss: exponent that makes easy samples count less", 0, 100)};
}

ClassificationLoss::ClassificationLoss(const OptionValues& options)
    : class_weights_(weights_of(options, "class-weights")),
      positive_weights_(weights_of(options, "positive-weights")),
      smoothing_(options.real("label-smoothing")),
      gamma_(options.real("focal-gamma")) {}

at::Tensor ClassificationLoss::weights(const char* option, const std::vector<double>& values,
                                       const at::Tensor& scores) const {
  if (values.empty()) return {};
  if (static_cast<std::int64_t>(values.size()) != scores.size(1))
    fail(ErrorKind::usage, "--", option, ": ", values.size(), " numbers for ", scores.size(1),
         " classes; allowed: one for each");
  return at::tensor(values, at::dtype(at::kDouble)).to(scores.options());
}

at::Tensor ClassificationLoss::operator()(const at::Tensor& logits, const Batch& batch) const {
  if (!batch.labels.defined())
    fail(ErrorKind::data, "the data set has no labels, which this objective needs");
  const at::Tensor scores = logits.to(at::promote_types(logits.scalar_type(), at::kFloat));
  return batch.labels.dim() == 1 ? single(scores, batch)
                                 : multi(scores, batch.labels.to(scores.scalar_type()));
}

at::Tensor ClassificationLoss::operator()(const Tape& tape, Value logits, const Batch& batch) const {
  if (tape.heads().empty()) return (*this)(tape.output(logits), batch);
  at::Tensor sum;
  for (const auto& [head, weight] : tape.heads()) {
    const at::Tensor loss = weight * (*this)(tape.output(head), batch);
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum;
}

at::Tensor ClassificationLoss::single(const at::Tensor& scores, const Batch& batch) const {
  if (!positive_weights_.empty())
    fail(ErrorKind::usage,
         "--positive-weights is for data with several labels a sample; use --class-weights");
  const at::Tensor& labels = batch.labels;
  if (class_weights_.empty() && gamma_ == 0)
    return at::cross_entropy_loss(scores, labels, {}, at::Reduction::Mean, -100, smoothing_);
  const at::Tensor weight = weights("class-weights", class_weights_, scores);
  at::Tensor losses;
  if (gamma_ == 0) {
    losses = at::cross_entropy_loss(scores, labels, weight, at::Reduction::None, -100, smoothing_);
  } else {
    const at::Tensor log_p = at::log_softmax(scores, 1);
    at::Tensor terms = focus(log_p, gamma_) * log_p.neg();
    if (weight.defined()) terms = terms * weight;
    losses = (1 - smoothing_) * terms.gather(1, labels.unsqueeze(1)).squeeze(1) + smoothing_ * terms.mean(1);
  }
  if (!weight.defined()) return losses.mean();
  const auto samples = static_cast<double>(labels.size(0));
  if (batch.mean_weight > 0) return losses.sum() / (samples * batch.mean_weight);
  return losses.sum() / weight.index_select(0, labels).sum();
}

at::Tensor ClassificationLoss::multi(const at::Tensor& scores, const at::Tensor& labels) const {
  const at::Tensor targets = smoothing_ > 0 ? labels * (1 - smoothing_) + smoothing_ / 2 : labels;
  at::Tensor losses =
      at::binary_cross_entropy_with_logits(scores, targets, weights("class-weights", class_weights_, scores),
                                           weights("positive-weights", positive_weights_, scores),
                                           gamma_ == 0 ? at::Reduction::Mean : at::Reduction::None);
  if (gamma_ == 0) return losses;
  // log p of what is right: log sigmoid(±score).
  const at::Tensor right = at::log_sigmoid(at::where(labels > 0.5, scores, scores.neg()));
  return (losses * focus(right, gamma_)).mean();
}

std::vector<double> balanced_class_weights(const std::vector<std::int64_t>& counts, std::int64_t samples) {
  std::vector<double> weights;
  for (const auto count : counts)
    weights.push_back(count == 0 ? 0.0
                                 : static_cast<double>(samples) /
                                       (static_cast<double>(counts.size()) * static_cast<double>(count)));
  return weights;
}

std::vector<double> balanced_positive_weights(const std::vector<std::int64_t>& counts, std::int64_t samples) {
  std::vector<double> weights;
  for (const auto count : counts)
    weights.push_back(count == 0 ? 1.0 : static_cast<double>(samples - count) / static_cast<double>(count));
  return weights;
}

}  // namespace isnet
