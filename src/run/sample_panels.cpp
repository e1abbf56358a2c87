#include "run/sample_panels.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "data/loader.h"
#include "model/objectives/grad_cam.h"
#include "model/objectives/objective.h"
#include "trainer/batches.h"

namespace isnet {

std::vector<float> floats(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

at::Tensor Explained::mask_of(std::int64_t sample, std::int64_t map) const {
  const at::Tensor mask = masks[sample];  // 1×H×W or M×1×H×W
  return mask.dim() == 3 ? mask : mask[map];
}

SamplePanels::SamplePanels(std::shared_ptr<Network> network, std::shared_ptr<const SplitReader> split,
                           std::vector<std::string> class_names, const EvaluationPlace& place,
                           const OptionValues& options, const std::string& selection)
    : network_(std::move(network)),
      split_(std::move(split)),
      class_names_(std::move(class_names)),
      place_(place),
      seed_(static_cast<std::uint64_t>(options.integer("seed"))),
      lrp_(lrp_options(options)),
      selection_(heatmap_selections().at(selection).make(options)) {
  if (network_->num_classes() == 0)
    fail(ErrorKind::usage,
         "this network classifies no images, so that there is nothing to explain; allowed: ",
         classifying_networks());
  if (options.known("method")) method_ = options.text("method");
  attention_maps_ = options.known("attention-maps") && options.flag("attention-maps");
}

Batch SamplePanels::read(const std::vector<std::int64_t>& samples) const {
  BatchPlan plan;
  plan.ids = samples;
  plan.counted.assign(samples.size(), 1);
  LoaderOptions loading;
  loading.double_precision = place_.dtype == at::kDouble;
  return to_batch(read_batch(*split_, plan, 0, loading), place_.device, place_.dtype);
}

std::vector<OptionSpec> explanation_options() {
  return {
      choice_option("method", "auto",
                    "how maps are made; auto: by LRP, or where the network has no rules for it by attention "
                    "rollout, or by gradients times pixels",
                    {"auto", "lrp", "rollout", "gradient-x-input", "grad-cam"}),
      flag_option("attention-maps",
                  "also write and draw where the network itself says that it looks (ag-sononet, ham, vit)")};
}

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

std::string SamplePanels::method_for(const Tape& tape) const {
  if (method_ != "auto") return method_;
  return has_rules(tape) ? "lrp" : rollout_of(tape) ? "rollout" : "gradient-x-input";
}

Explained SamplePanels::explain(const Batch& batch, BatchStatistics statistics) const {
  TapeContext context;
  context.recording = true;
  context.network = network_.get();
  context.multiplication = network_->multiplication;
  context.fused = fuses(batch.images);
  context.statistics = statistics;
  Tape tape(std::move(context));
  const Value out = network_->forward(tape, batch.images);
  const std::string method = method_for(tape);
  Explained explained;
  if (method == "lrp") {
    const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch, seed_);
    explained.heatmaps = relevance(tape, out, selected, lrp_).pixels;
    explained.classes = selected.classes;
    if (batch.masks.defined()) explained.masks = selected_masks(batch.masks, selected);
    explained.starts = selected.start.coefficients.detach();
  } else {
    explained = method == "rollout" ? by_rollout(tape, out, batch) : by_gradients(batch, statistics);
  }
  explained.logits = tape.prediction(out);
  if (attention_maps_) explained.shown = tape.shown();
  return explained;
}

Explained SamplePanels::by_rollout(const Tape& tape, Value out, const Batch& batch) const {
  const at::Tensor* map = rollout_of(tape);
  if (!map)
    fail(ErrorKind::usage,
         "--method: 'rollout' is not allowed for this network; allowed for vit and vit-b-16");
  Explained explained;
  explained.heatmaps = as_channels(*map);
  explained.classes = at::full({batch.size(), 1}, -1, at::kLong);
  explained.starts = at::zeros({batch.size(), 1, tape.output(out).size(1)});
  explained.map_name = "attention rollout";
  if (batch.masks.defined()) explained.masks = batch.masks.dim() == 5 ? batch.masks.amax(1) : batch.masks;
  return explained;
}

Explained SamplePanels::by_gradients(const Batch& batch, BatchStatistics statistics) const {
  if (statistics != BatchStatistics::running)
    fail(ErrorKind::usage, "--train-statistics goes with --method lrp and rollout only");
  const ForwardPass pass = GradientForward()(*network_, batch, seed_);
  const Selected selected = selection_->select(logits_of(*pass.tape, pass.logits, lrp_), batch, seed_);
  const at::Tensor& start = selected.start.coefficients;
  Explained explained;
  if (method_ == "grad-cam")
    explained.heatmaps = as_channels(
        grad_cam(pass, start, last_layer(*pass.tape), batch.images.size(2), batch.images.size(3)).detach());
  else
    explained.heatmaps = batch.images.unsqueeze(1) * input_gradients(pass, start).pixels;
  explained.classes = selected.classes;
  explained.starts = start.detach();
  if (batch.masks.defined()) explained.masks = selected_masks(batch.masks, selected);
  return explained;
}

namespace {

// Of a map that belongs to no class.
MapCaption named_caption(const std::string& name) {
  MapCaption caption;
  caption.class_name = name;
  caption.logit = caption.probability = std::numeric_limits<double>::quiet_NaN();
  return caption;
}

std::vector<std::int64_t> shown_maps(const Explained& explained, const at::Tensor& logits,
                                     std::int64_t label) {
  if (explained.classes.defined()) {
    std::vector<std::int64_t> every(static_cast<std::size_t>(explained.heatmaps.size(1)));
    for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::int64_t>(i);
    return every;
  }
  return maps_to_show({logits.data_ptr<double>(), static_cast<std::size_t>(logits.size(0))}, label, 10);
}

}  // namespace

Picture SamplePanels::draw(const Batch& batch, const Explained& explained, std::int64_t i) const {
  const std::int64_t index = batch.ids[i].item<std::int64_t>();
  const at::Tensor logits = explained.logits[i].to(at::kCPU, at::kDouble).contiguous();
  const bool single = split_->layout().labels != LabelKind::multi;
  const at::Tensor probabilities = (single ? logits.softmax(0) : logits.sigmoid()).contiguous();
  const auto image = floats(batch.images[i]);
  std::vector<float> mask, heatmaps;
  PanelInput input;
  input.title = split_->id(index);
  input.height = static_cast<int>(batch.images.size(2));
  input.width = static_cast<int>(batch.images.size(3));
  for (const std::int64_t map : shown_maps(explained, logits, single ? label_of(index) : -1)) {
    const std::int64_t k = explained.classes.defined() ? explained.classes[i][map].item<std::int64_t>() : map;
    if (!explained.map_name.empty())
      input.maps.push_back(named_caption(explained.map_name));
    else
      input.maps.push_back(k < 0 ? joint_caption(explained.starts[i][map], logits)
                                 : caption_of(k, batch, i, logits, probabilities));
    const auto values = floats(explained.heatmaps[i][map]);
    heatmaps.insert(heatmaps.end(), values.begin(), values.end());
    if (explained.masks.defined() && (mask.empty() || explained.masks.dim() == 5)) {
      const auto more = floats(explained.mask_of(i, map));
      mask.insert(mask.end(), more.begin(), more.end());
    }
  }
  for (const auto& [name, shown] : explained.shown) {
    input.maps.push_back(named_caption(name));
    const at::Tensor large =
        at::upsample_bilinear2d(shown.narrow(0, i, 1), {input.height, input.width}, false);
    const auto values = floats(as_channels(large)[0]);
    heatmaps.insert(heatmaps.end(), values.begin(), values.end());
    if (explained.masks.defined() && explained.masks.dim() == 5) {
      const auto more = floats(explained.mask_of(i, 0));
      mask.insert(mask.end(), more.begin(), more.end());
    }
  }
  input.image = image;
  input.mask = mask;
  input.heatmaps = heatmaps;
  return panel(input);
}

MapCaption SamplePanels::caption_of(std::int64_t k, const Batch& batch, std::int64_t i,
                                    const at::Tensor& logits, const at::Tensor& probabilities) const {
  const bool single = split_->layout().labels != LabelKind::multi;
  MapCaption caption;
  caption.class_name = class_names_.at(static_cast<std::size_t>(k));
  caption.logit = logits[k].item<double>();
  caption.probability = probabilities[k].item<double>();
  caption.is_label =
      single ? label_of(batch.ids[i].item<std::int64_t>()) == k : batch.labels[i][k].item<double>() > 0.5;
  caption.is_predicted = single ? logits.argmax().item<std::int64_t>() == k : caption.logit > 0;
  return caption;
}

// Of a map that starts at several logits together.
MapCaption SamplePanels::joint_caption(const at::Tensor& start, const at::Tensor& logits) const {
  const at::Tensor starts = start.to(at::kCPU, at::kDouble);
  MapCaption caption;
  caption.logit = (starts * logits).sum().item<double>();
  caption.probability = std::numeric_limits<double>::quiet_NaN();
  for (std::int64_t k = 0; k < starts.size(0); ++k)
    if (starts[k].item<double>() != 0)
      caption.class_name +=
          (caption.class_name.empty() ? "" : " + ") + class_names_.at(static_cast<std::size_t>(k));
  if (caption.class_name.empty()) caption.class_name = "no label";
  return caption;
}

std::int64_t SamplePanels::label_of(std::int64_t index) const {
  return split_->layout().labels == LabelKind::single ? split_->label(index) : -1;
}

}  // namespace isnet
