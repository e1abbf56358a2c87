// ISNet: the classifier's loss and its LRP heatmaps' loss, L = (1 − P)·L_c + P·L_LRP (arXiv 2202.00232); with
// heatmaps of hidden layers on request (arXiv 2401.08409), and C1 and C2 chosen by a warm-up on request.
#include "model/losses/classification_loss.h"
#include "model/losses/heatmap_loss.h"
#include "model/lrp/first_layer.h"
#include "model/lrp/layer_rule.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/objectives/heatmap_objective.h"

namespace isnet {
namespace {

class IsnetObjective : public HeatmapObjective {
 public:
  explicit IsnetObjective(const OptionValues& options)
      : IsnetObjective(options, heatmap_selections().at(options.text("heatmaps")).make(options)) {}

 private:
  IsnetObjective(const OptionValues& options, std::unique_ptr<HeatmapSelection> selection)
      : HeatmapObjective(options, "isnet", selection->groups()),
        lrp_(lrp_options(options)),
        selection_(std::move(selection)) {}

  ForwardPass forward(Network& network, const Batch& batch) override {
    return record_forward(network, batch, seed());
  }

  JudgedHeatmaps heatmaps(const ForwardPass& pass, const Batch& batch) const override {
    const Selected selected = selection_->select(logits_of(*pass.tape, pass.logits, lrp_), batch, seed());
    return {relevance(*pass.tape, pass.logits, selected, lrp_, layers()),
            selected_masks(batch.masks, selected), selected.classes};
  }

  LrpOptions lrp_;
  std::unique_ptr<HeatmapSelection> selection_;
};

std::vector<OptionSpec> isnet_options() {
  std::vector<OptionSpec> options = heatmap_objective_options();
  for (auto& more : lrp_option_specs()) options.push_back(std::move(more));
  return options;
}

const Registration<ObjectiveFactory> isnet(
    objectives(),
    {.name = "isnet",
     .description = "Classifier with a penalty on LRP heatmaps outside the mask",
     .options = isnet_options(),
     .make = [](const OptionValues& options) { return std::make_unique<IsnetObjective>(options); },
     .uses = {heatmap_selection_group, layer_rule_group, first_layer_group, heatmap_loss_group},
     .defaults = {{"gradient-clip-val", "1"}},  // as published
     .capabilities = {.needs_masks = true}});

}  // namespace
}  // namespace isnet
