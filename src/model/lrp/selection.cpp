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
  Selected select(const at::Tensor& logits, const Batch&, std::uint64_t) const override {
    const std::int64_t classes = logits.size(1);
    return {{at::eye(classes, logits.options()).expand({logits.size(0), classes, classes}), false}, {}};
  }
};

// The winning logit with probability 5/11, else one of the others (Faster ISNet, arXiv 2401.08409); drawn for
// each image on its own. A single class explains that class.
class Stochastic : public HeatmapSelection {
 public:
  Selected select(const at::Tensor& logits, const Batch& batch, std::uint64_t seed) const override {
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
  Selected select(const at::Tensor& logits, const Batch& batch, std::uint64_t) const override {
    if (!batch.labels.defined() || batch.labels.dim() != 1)
      fail(ErrorKind::usage, "--heatmaps label needs data with one label for each image");
    const at::Tensor classes = batch.labels.view({-1, 1});
    return {start_at(classes, logits), classes};
  }
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

}  // namespace
}  // namespace isnet
