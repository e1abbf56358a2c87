#include "cli/sample_panels.h"

#include <ATen/ATen.h>

#include <limits>

#include "data/loader.h"
#include "model/objectives/objective.h"
#include "trainer/batches.h"

namespace isnet::cli {

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
      selection_(heatmap_selections().at(selection).make(options)) {}

Batch SamplePanels::read(const std::vector<std::int64_t>& samples) const {
  BatchPlan plan;
  plan.ids = samples;
  plan.counted.assign(samples.size(), 1);
  LoaderOptions loading;
  loading.double_precision = place_.dtype == at::kDouble;
  return to_batch(read_batch(*split_, plan, 0, 0, loading), place_.device, place_.dtype);
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
  const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch, seed_);
  return {tape.output(out), relevance(tape, out, selected, lrp_).pixels, selected.classes,
          batch.masks.defined() ? selected_masks(batch.masks, selected) : at::Tensor(),
          selected.start.coefficients.detach()};
}

namespace {

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
    input.maps.push_back(k < 0 ? joint_caption(explained.starts[i][map], logits)
                               : caption_of(k, batch, i, logits, probabilities));
    const auto values = floats(explained.heatmaps[i][map]);
    heatmaps.insert(heatmaps.end(), values.begin(), values.end());
    if (explained.masks.defined() && (mask.empty() || explained.masks.dim() == 5)) {
      const auto more = floats(explained.mask_of(i, map));
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

}  // namespace isnet::cli
