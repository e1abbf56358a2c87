#include "model/lrp/selection.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/random.h"
#include "model/lrp/layer_rule.h"

namespace isnet {

Registry<HeatmapSelectionFactory>& heatmap_selections() {
  static Registry<HeatmapSelectionFactory> registry("heatmap selection");
  return registry;
}

OptionGroup heatmap_selection_group() {
  return strategy_group("Heatmaps", heatmap_selections(), "heatmaps", "all",
                        "Heatmaps that a step computes");
}

LrpStart start_at(const at::Tensor& classes, const at::Tensor& logits) {
  return {at::one_hot(classes, logits.size(1)).to(logits.options()), false};
}

Heatmaps relevance(const Tape& tape, Value logits, const Selected& selected, const LrpOptions& options,
                   const std::vector<std::string>& layers) {
  if (selected.rules.empty()) return relevance(tape, logits, selected.start, options, layers);
  const auto kinds = static_cast<std::int64_t>(selected.rules.size());
  const std::int64_t each = selected.start.coefficients.size(1) / kinds;
  std::vector<at::Tensor> pixels;
  std::vector<std::vector<at::Tensor>> hidden(layers.size());
  for (std::int64_t kind = 0; kind < kinds; ++kind) {
    LrpOptions own = options;
    own.rule = selected.rules[static_cast<std::size_t>(kind)];
    const LrpStart start{selected.start.coefficients.narrow(1, kind * each, each), selected.start.gated};
    const Heatmaps maps = relevance(tape, logits, start, own, layers);
    pixels.push_back(maps.pixels);
    for (std::size_t i = 0; i < layers.size(); ++i) hidden[i].push_back(maps.hidden[i]);
  }
  Heatmaps joined{at::cat(pixels, 1), {}};
  for (const auto& maps : hidden) joined.hidden.push_back(at::cat(maps, 1));
  return joined;
}

at::Tensor selected_masks(const at::Tensor& masks, const Selected& selected) {
  if (masks.dim() == 4 || !selected.classes.defined()) return masks;
  const auto& classes = selected.classes;
  if (selected.about_all_classes)
    return masks.amax(1, /*keepdim=*/true).expand({-1, classes.size(1), -1, -1, -1});
  const at::Tensor index = classes.view({classes.size(0), classes.size(1), 1, 1, 1});
  const at::Tensor own = masks.take_along_dim(index.clamp_min(0), 1);
  if (!classes.lt(0).any().item<bool>()) return own;
  const at::Tensor explained = selected.start.coefficients.detach().ne(0).to(masks.scalar_type());  // B×M×K
  const at::Tensor joint = (masks.unsqueeze(1) * explained.unsqueeze(-1).unsqueeze(-1).unsqueeze(-1)).amax(2);
  return at::where(index < 0, joint, own);
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
// each image on its own. A single class explains that class. B×1.
at::Tensor drawn_classes(const at::Tensor& logits, const Batch& batch, std::uint64_t seed) {
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
  return classes.to(logits.device());
}

class Stochastic : public HeatmapSelection {
 public:
  Selected select(const Logits& logits, const Batch& batch, std::uint64_t seed) const override {
    const at::Tensor classes = drawn_classes(logits.live, batch, seed);
    return {start_at(classes, logits.live), classes};
  }
};

// Of all logits at once, as published code starts.
LrpStart start_at_all(const at::Tensor& logits, std::int64_t maps) {
  return {at::ones({logits.size(0), maps, logits.size(1)}, logits.options()), false};
}

at::Tensor no_class(const at::Tensor& logits, std::int64_t maps) {
  return at::full({logits.size(0), maps}, -1, logits.options().dtype(at::kLong));
}

// Two maps, by z⁺ and then by ε: of one drawn logit, or of all (Faster ISNet, arXiv 2401.08409).
class Dual : public HeatmapSelection {
 public:
  explicit Dual(const OptionValues& options)
      : rules_{layer_rules().at("zplus").make(options), nullptr},
        of_all_(options.text("dual-start") == "all") {
    if (options.text("lrp-form") != "block")
      fail(ErrorKind::usage, "--heatmaps: 'dual' is not allowed with --lrp-form ", options.text("lrp-form"),
           ", in which z+ is not defined; allowed: --lrp-form block");
    if (options.text("lrp-rule") != "epsilon")
      fail(ErrorKind::usage, "--lrp-rule: '", options.text("lrp-rule"),
           "' is not allowed with --heatmaps dual, which has rules of its own; allowed: epsilon");
  }
  int groups() const override { return 2; }

  Selected select(const Logits& logits, const Batch& batch, std::uint64_t seed) const override {
    if (of_all_) return {start_at_all(logits.live, 2), no_class(logits.live, 2), rules_};
    const at::Tensor classes = drawn_classes(logits.live, batch, seed).expand({-1, 2}).contiguous();
    return {start_at(classes, logits.live), classes, rules_};
  }

 private:
  std::vector<std::shared_ptr<const LayerRule>> rules_;
  bool of_all_;
};

// One map of all logits at once, as the published code starts its pair of maps.
class Sum : public HeatmapSelection {
 public:
  Selected select(const Logits& logits, const Batch&, std::uint64_t) const override {
    return {start_at_all(logits.live, 1), no_class(logits.live, 1)};
  }
};

// The map of the image's label; of all its labels together, where it may have several: relevance of each is
// added, which is the sum of their maps. No label: a map of zeros.
class Label : public HeatmapSelection {
 public:
  Selected select(const Logits& both, const Batch& batch, std::uint64_t) const override {
    const at::Tensor& logits = both.live;
    if (!batch.labels.defined())
      fail(ErrorKind::usage, "--heatmaps: 'label' is not allowed for data without labels");
    if (batch.labels.dim() == 1) {
      const at::Tensor classes = batch.labels.view({-1, 1});
      return {start_at(classes, logits), classes};
    }
    const at::Tensor present = batch.labels.gt(0.5);
    const at::Tensor one = present.sum(1, /*keepdim=*/true).eq(1);
    const at::Tensor classes = at::where(one, present.to(at::kLong).argmax(1, /*keepdim=*/true), -1);
    return {{present.to(logits.scalar_type()).unsqueeze(1), false}, classes};
  }
};

// One map of what speaks for the lowest logit k and so against every other class (or for the label's, against
// the others): that of η = ln(p_k + ε') − ln(1 − p_k + ε'), p = softmax (Faster ISNet, arXiv 2401.08409).
class Selective : public HeatmapSelection {
 public:
  explicit Selective(const OptionValues& options)
      : lrp_(lrp_options(options)),
        eps_(options.real("selective-epsilon")),
        of_label_(options.text("selective-class") == "label") {
    if (lrp_.rule)
      fail(ErrorKind::usage, "--lrp-rule: '", options.text("lrp-rule"),
           "' is not allowed with --heatmaps selective, which is defined for epsilon; allowed: epsilon");
  }

  Selected select(const Logits& logits, const Batch& batch, std::uint64_t) const override {
    if (batch.labels.defined() && batch.labels.dim() != 1)
      fail(ErrorKind::usage, "--heatmaps selective needs one label for each image: it explains a softmax");
    if (of_label_ && !batch.labels.defined())
      fail(ErrorKind::usage,
           "--selective-class: 'label' is not allowed for data without labels; allowed: lowest");
    const at::Tensor k =
        of_label_ ? batch.labels.view({-1, 1}) : logits.live.detach().argmin(1, /*keepdim=*/true);
    const at::Tensor start = lrp_.form == LrpForm::flex ? gradient(logits.live, k)
                                                        : layer(logits.constant_bias, k, logits.epsilon);
    return {{start.unsqueeze(1), /*gated=*/true}, k, {}, /*about_all_classes=*/true};
  }

 private:
  // Flex: ∂η/∂y, B×K, live in y.
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& k) const {
    const at::Tensor p = y.softmax(1), p_k = p.gather(1, k);
    const at::Tensor one_hot = at::zeros_like(p).scatter(1, k, 1.0);
    return (1 / (p_k + eps_) + 1 / (1 - p_k + eps_)) * p_k * (one_hot - p);
  }

  // Block: η as a layer, by the ε rule: relevance r_c = z_c e^(−z_c)/(Σ e^(−z) + 1e-5) of z_c = y_k − y_c,
  // whose weights are W_k − W_c. The quotient is extended by e^(−largest), so that it does not overflow.
  static at::Tensor layer(const at::Tensor& y, const at::Tensor& k, double epsilon) {
    const at::Tensor z = y.gather(1, k) - y;  // 0 at c = k, which then adds nothing below
    const at::Tensor others = at::ones_like(y).scatter(1, k, 0.0);
    const at::Tensor largest = (-z).detach().amax(1, /*keepdim=*/true);  // ≥ 0, as z_k = 0
    const at::Tensor e = (-z - largest).exp() * others;
    const at::Tensor r = z * e / (e.sum(1, /*keepdim=*/true) + 1e-5 * (-largest).exp());
    const at::Tensor t = r / stabilized(z, epsilon) * others;
    return at::zeros_like(y).scatter(1, k, t.sum(1, /*keepdim=*/true)) - t;
  }

  LrpOptions lrp_;
  double eps_;
  bool of_label_;
};

const Registration<HeatmapSelectionFactory> all(
    heatmap_selections(),
    {"all", "One map for each class", {}, [](const OptionValues&) { return std::make_unique<All>(); }});
const Registration<HeatmapSelectionFactory> stochastic(
    heatmap_selections(),
    {"stochastic", "One logit for each image, drawn in each epoch", {}, [](const OptionValues&) {
       return std::make_unique<Stochastic>();
     }});
const Registration<HeatmapSelectionFactory> label(
    heatmap_selections(),
    {"label", "The label's map; of several labels, the sum of theirs", {}, [](const OptionValues&) {
       return std::make_unique<Label>();
     }});
const Registration<HeatmapSelectionFactory> dual(
    heatmap_selections(), {"dual",
                           "Two maps of one logit for each image, drawn in each epoch: by z+ and by epsilon",
                           {choice_option("dual-start", "drawn",
                                          "dual: start at one logit that is drawn, "
                                          "or at all logits at once as published code does",
                                          {"drawn", "all"})},
                           [](const OptionValues& options) { return std::make_unique<Dual>(options); }});
const Registration<HeatmapSelectionFactory> sum(
    heatmap_selections(), {"sum",
                           "One map of all logits at once, as published code starts; for comparisons",
                           {},
                           [](const OptionValues&) { return std::make_unique<Sum>(); }});

const Registration<HeatmapSelectionFactory> selective(
    heatmap_selections(),
    {"selective",
     "One map an image: evidence against the classes above the lowest",
     {real_option("selective-epsilon", "0.01", "selective: epsilon' in the logarithms (flex form)", 0, 1,
                  true),
      choice_option("selective-class", "lowest", "selective: class whose odds are explained",
                    {"lowest", "label"})},
     [](const OptionValues& options) { return std::make_unique<Selective>(options); }});

}  // namespace
}  // namespace isnet
