// ISNet: the classifier's loss and its heatmaps' loss, L = (1 − P)·L_c + P·L_LRP (arXiv 2202.00232).
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/losses/heatmap_loss.h"
#include "model/lrp/first_layer.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

class IsnetObjective : public Objective {
 public:
  explicit IsnetObjective(const OptionValues& options)
      : weight_(options.real("heatmap-weight")),
        seed_(static_cast<std::uint64_t>(options.integer("seed"))),
        lrp_(lrp_options(options)),
        selection_(heatmap_selections().at(options.text("heatmaps")).make(options)),
        loss_(heatmap_losses().at(options.text("heatmap-loss")).make(options)) {}

  bool needs_masks() const override { return true; }

  Losses compute(Network& network, const Batch& batch) override {
    if (!batch.masks.defined())
      fail(ErrorKind::data,
           "the data set has no masks, which --objective isnet needs; add them, or train a classifier");
    Tape tape(context_for(network, batch, seed_, /*recording=*/true));
    const Value out = network.forward(tape, batch.images);
    const at::Tensor& logits = tape.output(out);
    const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch, seed_);
    const at::Tensor heatmaps = relevance(tape, out, selected.start, lrp_);
    const at::Tensor classification = classification_loss(logits, batch.labels);
    const at::Tensor heatmap = loss_->compute(heatmaps, masks_of(batch, selected.classes), selected.classes);
    const at::Tensor total = (1 - weight_) * classification + weight_ * heatmap;
    return {total, {{"loss_classification", classification}, {"loss_heatmap", heatmap}}, logits};
  }

 private:
  // One mask for each class: those of the selected classes.
  static at::Tensor masks_of(const Batch& batch, const at::Tensor& classes) {
    if (batch.masks.dim() == 4 || !classes.defined()) return batch.masks;
    const at::Tensor index = classes.view({classes.size(0), classes.size(1), 1, 1, 1});
    return batch.masks.take_along_dim(index, 1);
  }

  double weight_;
  std::uint64_t seed_;
  LrpOptions lrp_;
  std::unique_ptr<HeatmapSelection> selection_;
  std::unique_ptr<HeatmapLoss> loss_;
};

const Registration<ObjectiveFactory> isnet(
    objectives(),
    {"isnet",
     "classifier and LRP heatmaps punished outside the mask",
     {real_option("heatmap-weight", "0.7", "isnet: P, the heatmap loss's share of the total", 0, 1),
      choice_option("lrp-form", "block", "isnet: where epsilon enters", {"block", "flex"}),
      real_option("lrp-epsilon", "0.01", "isnet: epsilon of LRP", 0, 1e300, true),
      text_option("first-layer", "zb", "RULE", "isnet: rule of the layer that reads the pixels"),
      text_option("heatmaps", "all", "SELECTION", "isnet: which heatmaps a step computes"),
      text_option("heatmap-loss", "gwrp", "LOSS", "isnet: how relevance in the background is punished")},
     [](const OptionValues& options) { return std::make_unique<IsnetObjective>(options); }});

}  // namespace
}  // namespace isnet
