#include "run/explainer.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/background_exchange.h"
#include "model/objectives/grad_cam.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

// One map as three equal channels that add up to it: B×M×H×W → B×M×3×H×W.
at::Tensor as_channels(const at::Tensor& maps) {
  return (maps / 3).unsqueeze(2).expand({-1, -1, 3, -1, -1});
}

const at::Tensor* rollout_of(const Tape& tape) {
  for (const auto& [name, map] : tape.shown())
    if (name == "rollout") return &map;
  return nullptr;
}

bool has_rules(const Tape& tape) {
  for (int index = 0; index < tape.size(); ++index)
    if (!tape.node(index).operation->has_rule()) return false;
  return true;
}

}  // namespace

at::Tensor Explained::mask_of(std::int64_t sample, std::int64_t map) const {
  const at::Tensor mask = masks[sample];  // 1×H×W or M×1×H×W
  return mask.dim() == 3 ? mask : mask[map];
}

const std::vector<std::string>& explanation_methods() {
  static const std::vector<std::string> names{"lrp", "gradient-x-input", "integrated-gradients", "grad-cam",
                                              "rollout"};
  return names;
}

OptionSpec integration_steps_option() {
  return integer_option("integration-steps", "32",
                        "Integrated gradients: images between black and the sample", 1, 100'000);
}

Explainer::Explainer(Network& network, std::shared_ptr<const HeatmapSelection> selection,
                     const OptionValues& options, ExplainerOptions how)
    : network_(network),
      selection_(std::move(selection)),
      seed_(static_cast<std::uint64_t>(options.integer("seed"))),
      lrp_(lrp_options(options)),
      how_(std::move(how)) {
  if (network_.num_classes() == 0)
    fail(ErrorKind::usage,
         "this network classifies no images, so that there is nothing to explain; allowed: ",
         classifying_networks());
}

std::string Explainer::method_for(const Tape& tape) const {
  if (how_.method != "auto") return how_.method;
  return has_rules(tape) ? "lrp" : rollout_of(tape) ? "rollout" : "gradient-x-input";
}

TapeContext Explainer::context_of(const Batch& batch, BatchStatistics statistics) const {
  TapeContext context;
  context.network = &network_;
  context.multiplication = network_.multiplication;
  context.fused = fuses(batch.images);
  context.statistics = statistics;
  return context;
}

at::Tensor Explainer::logits(const Batch& batch, BatchStatistics statistics) const {
  Tape tape(context_of(batch, statistics));
  return tape.prediction(network_.forward(tape, batch.images));
}

Explained Explainer::explain(const Batch& batch, BatchStatistics statistics) const {
  TapeContext context = context_of(batch, statistics);
  context.recording = true;
  Tape tape(std::move(context));
  const Value out = network_.forward(tape, batch.images);
  const std::string method = method_for(tape);
  if (!how_.layers.empty() && method != "lrp")
    fail(ErrorKind::usage, "--hidden-layers: is not allowed with --method ", method, "; allowed: lrp");
  Explained explained = method == "lrp"       ? by_relevance(tape, out, batch)
                        : method == "rollout" ? by_rollout(tape, out, batch)
                                              : by_gradients(method, batch, statistics);
  explained.logits = tape.prediction(out);
  if (how_.attention_maps) explained.shown = tape.shown();
  return explained;
}

Explained Explainer::by_relevance(const Tape& tape, Value out, const Batch& batch) const {
  const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch, seed_);
  Heatmaps maps = relevance(tape, out, selected, lrp_, how_.layers);
  Explained explained;
  explained.heatmaps = std::move(maps.pixels);
  for (std::size_t i = 0; i < how_.layers.size(); ++i)
    explained.hidden.emplace_back(how_.layers[i], maps.hidden[i].sum(2));
  explained.classes = selected.classes;
  if (batch.masks.defined()) explained.masks = selected_masks(batch.masks, selected);
  explained.starts = selected.start.coefficients.detach();
  return explained;
}

Explained Explainer::by_rollout(const Tape& tape, Value out, const Batch& batch) const {
  const at::Tensor* map = rollout_of(tape);
  if (!map)
    fail(ErrorKind::usage, "method 'rollout' is not allowed for this network; allowed for vit and vit-b-16");
  Explained explained;
  explained.heatmaps = as_channels(*map);
  explained.classes = at::full({batch.size(), 1}, -1, at::kLong);
  explained.starts = at::zeros({batch.size(), 1, tape.output(out).size(1)});
  explained.map_name = "attention rollout";
  if (batch.masks.defined()) explained.masks = joint_foreground(batch.masks);
  return explained;
}

Explained Explainer::by_gradients(const std::string& method, const Batch& batch,
                                  BatchStatistics statistics) const {
  if (statistics != BatchStatistics::running)
    fail(ErrorKind::usage, "--train-statistics goes with --method lrp and rollout only");
  const ForwardPass pass = GradientForward()(network_, batch, seed_);
  const Selected selected = selection_->select(logits_of(*pass.tape, pass.logits, lrp_), batch, seed_);
  const at::Tensor& start = selected.start.coefficients;
  Explained explained;
  if (method == "grad-cam")
    explained.heatmaps = as_channels(
        grad_cam(pass, start, last_layer(*pass.tape), batch.images.size(2), batch.images.size(3)).detach());
  else if (method == "integrated-gradients")
    explained.heatmaps = integrated_gradients(batch, start.detach());
  else
    explained.heatmaps = batch.images.unsqueeze(1) * input_gradients(pass, start).pixels;
  explained.classes = selected.classes;
  explained.starts = start.detach();
  if (batch.masks.defined()) explained.masks = selected_masks(batch.masks, selected);
  return explained;
}

// x ⊙ the mean gradient on the straight line from black to x (Sundararajan et al., ICML 2017), at the middles
// of equal parts of it.
at::Tensor Explainer::integrated_gradients(const Batch& batch, const at::Tensor& start) const {
  at::Tensor sum;
  for (std::int64_t step = 0; step < how_.integration_steps; ++step) {
    Batch between = batch;
    between.images =
        batch.images * ((static_cast<double>(step) + 0.5) / static_cast<double>(how_.integration_steps));
    const ForwardPass pass = GradientForward()(network_, between, seed_);
    const at::Tensor gradients = input_gradients(pass, start).pixels.detach();
    sum = sum.defined() ? sum + gradients : gradients;
  }
  return batch.images.unsqueeze(1) * (sum / how_.integration_steps);
}

}  // namespace isnet
