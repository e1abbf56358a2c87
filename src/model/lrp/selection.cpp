#include "model/lrp/selection.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/random.h"

namespace isnet {

Registry<HeatmapSelectionFactory>& heatmap_selections() {
  static Registry<HeatmapSelectionFactory> registry("heatmap selection");
  return registry;
}

LrpStart start_at(const at::Tensor& classes, const at::Tensor& logits) {
  return {at::one_hot(classes, logits.size(1)).to(logits.options()), false};
}

namespace {

// One map for each class.
class All : public HeatmapSelection {
 public:
  Selected select(const Logits& both, const Batch&, std::uint64_t) const override {
    const at::Tensor& logits = both.live;
    const std::int64_t classes = logits.size(1);
    return {{at::eye(classes, logits.options()).expand({logits.size(0), classes, classes}), false}, {}};
  }
};

// The winning logit with probability 5/11, else one of the others (Faster ISNet, arXiv 2401.08409); drawn for
// each image on its own. A single class explains that class.
class Stochastic : public HeatmapSelection {
 public:
  Selected select(const Logits& both, const Batch& batch, std::uint64_t seed) const override {
    const at::Tensor& logits = both.live;
    if (!batch.ids.defined()) fail(ErrorKind::internal, "a stochastic selection needs the samples' ids");
    const at::Tensor winners = logits.detach().argmax(1).cpu();
    const at::Tensor ids = batch.ids.cpu();
    at::Tensor classes = at::empty({logits.size(0), 1}, at::dtype(at::kLong));
    const auto others = static_cast<std::uint32_t>(logits.size(1) - 1);
    for (std::int64_t b = 0; b < logits.size(0); ++b) {
      SampleRandom random(seed, Purpose::heatmap_selection, batch.epoch,
                          static_cast<std::uint64_t>(ids.data_ptr<std::int64_t>()[b]));
      std::int64_t chosen = winners.data_ptr<std::int64_t>()[b];
      if (others > 0 && random.uniform() >= 5.0 / 11.0) {
        const std::int64_t other = random.below(others);
        chosen = other < chosen ? other : other + 1;
      }
      classes.data_ptr<std::int64_t>()[b] = chosen;
    }
    classes = classes.to(logits.device());
    return {start_at(classes, logits), classes};
  }
};

// The map of the image's label.
class Label : public HeatmapSelection {
 public:
  Selected select(const Logits& both, const Batch& batch, std::uint64_t) const override {
    const at::Tensor& logits = both.live;
    if (!batch.labels.defined() || batch.labels.dim() != 1)
      fail(ErrorKind::usage, "--heatmaps label needs data with one label for each image");
    const at::Tensor classes = batch.labels.view({-1, 1});
    return {start_at(classes, logits), classes};
  }
};

// One map of what speaks for the lowest logit k and so against every other class: that of
// η = ln(p_k + ε') − ln(1 − p_k + ε'), p = softmax (Faster ISNet, arXiv 2401.08409).
class Selective : public HeatmapSelection {
 public:
  Selective(LrpOptions lrp, double eps) : lrp_(std::move(lrp)), eps_(eps) {}

  Selected select(const Logits& logits, const Batch& batch, std::uint64_t) const override {
    if (batch.labels.defined() && batch.labels.dim() != 1)
      fail(ErrorKind::usage, "--heatmaps selective needs one label for each image: it explains a softmax");
    const at::Tensor lowest = logits.live.detach().argmin(1, /*keepdim=*/true);
    const at::Tensor start =
        lrp_.form == LrpForm::flex ? gradient(logits.live, lowest) : layer(logits.constant_bias, lowest);
    return {{start.unsqueeze(1), /*gated=*/true}, lowest};
  }

 private:
  // Flex: ∂η/∂y, B×K, live in y.
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& k) const {
    const at::Tensor p = y.softmax(1), p_k = p.gather(1, k);
    const at::Tensor one_hot = at::zeros_like(p).scatter(1, k, 1.0);
    return (1 / (p_k + eps_) + 1 / (1 - p_k + eps_)) * p_k * (one_hot - p);
  }

  // Block: η as a layer, by the ε rule: relevance r_c of z_c = y_k − y_c, whose weights are W_k − W_c.
  at::Tensor layer(const at::Tensor& y, const at::Tensor& k) const {
    const at::Tensor z = y.gather(1, k) - y;  // 0 at c = k, which then adds nothing below
    const at::Tensor others = at::ones_like(y).scatter(1, k, 0.0);
    const at::Tensor e = (-z).exp() * others;
    const at::Tensor r = z * e / stabilized(e.sum(1, /*keepdim=*/true), 1e-5);
    const at::Tensor t = r / stabilized(z, lrp_.epsilon) * others;
    return at::zeros_like(y).scatter(1, k, t.sum(1, /*keepdim=*/true)) - t;
  }

  LrpOptions lrp_;
  double eps_;
};

const Registration<HeatmapSelectionFactory> all(
    heatmap_selections(),
    {"all", "one map for each class", {}, [](const OptionValues&) { return std::make_unique<All>(); }});
const Registration<HeatmapSelectionFactory> stochastic(
    heatmap_selections(),
    {"stochastic", "one logit an image, drawn anew each epoch", {}, [](const OptionValues&) {
       return std::make_unique<Stochastic>();
     }});
const Registration<HeatmapSelectionFactory> label(heatmap_selections(),
                                                  {"label", "the label's map", {}, [](const OptionValues&) {
                                                     return std::make_unique<Label>();
                                                   }});

const Registration<HeatmapSelectionFactory> selective(
    heatmap_selections(), {"selective",
                           "one map an image: evidence against the classes above the lowest",
                           {real_option("selective-epsilon", "0.01",
                                        "selective: epsilon' in the logarithms (flex form)", 0, 1, true)},
                           [](const OptionValues& options) {
                             return std::make_unique<Selective>(lrp_options(options),
                                                                options.real("selective-epsilon"));
                           }});

}  // namespace
}  // namespace isnet
