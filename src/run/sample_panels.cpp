#include "run/sample_panels.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "data/loader.h"
#include "trainer/batches.h"

namespace isnet {

std::vector<float> floats(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

namespace {

ExplainerOptions explainer_options(const OptionValues& options) {
  ExplainerOptions how;
  if (options.known("method")) how.method = options.text("method");
  how.attention_maps = options.known("attention-maps") && options.flag("attention-maps");
  if (options.known("integration-steps")) how.integration_steps = options.integer("integration-steps");
  if (options.known("hidden-layers")) how.layers = options.list("hidden-layers");
  return how;
}

// One map as three equal channels that add up to it: B×M×H×W → B×M×3×H×W.
at::Tensor as_channels(const at::Tensor& maps) {
  return (maps / 3).unsqueeze(2).expand({-1, -1, 3, -1, -1});
}

}  // namespace

SamplePanels::SamplePanels(std::shared_ptr<Network> network, std::shared_ptr<const SplitReader> split,
                           std::vector<std::string> class_names, const EvaluationPlace& place,
                           const OptionValues& options, const std::string& selection)
    : SamplePanels(std::move(network), std::move(split), std::move(class_names), place, options,
                   heatmap_selections().at(selection).make(options)) {}

SamplePanels::SamplePanels(std::shared_ptr<Network> network, std::shared_ptr<const SplitReader> split,
                           std::vector<std::string> class_names, const EvaluationPlace& place,
                           const OptionValues& options, std::shared_ptr<const HeatmapSelection> selection)
    : network_(std::move(network)),
      split_(std::move(split)),
      class_names_(std::move(class_names)),
      place_(place),
      explainer_(*network_, std::move(selection), options, explainer_options(options)) {}

Batch SamplePanels::read(const std::vector<std::int64_t>& samples) const {
  BatchPlan plan;
  plan.ids = samples;
  plan.counted.assign(samples.size(), 1);
  LoaderOptions loading;
  loading.double_precision = place_.dtype == at::kDouble;
  return to_batch(read_batch(*split_, plan, 0, loading), place_.device, place_.dtype);
}

std::vector<OptionSpec> explanation_options() {
  std::vector<std::string> methods = explanation_methods();
  methods.insert(methods.begin(), "auto");
  return {
      choice_option("method", "auto",
                    "How maps are made; auto: by LRP, or where the network has no rules for it by attention "
                    "rollout, or by gradients times pixels",
                    methods),
      integration_steps_option(),
      text_option("hidden-layers", "", "NAME,…",
                  "LRP: relevance at these layers too, as --supervised-layers names them"),
      flag_option("attention-maps",
                  "Also write and draw where the network itself says that it looks (ag-sononet, ham, vit)")};
}

namespace {

// Of a map that belongs to no class.
MapCaption named_caption(const std::string& name) {
  MapCaption caption;
  caption.class_name = name;
  caption.logit = caption.probability = std::numeric_limits<double>::quiet_NaN();
  return caption;
}

// Where the network says that it looks, and relevance at hidden layers for the first map: names and B×1×h×w.
std::vector<std::pair<std::string, at::Tensor>> shown_besides(const Explained& explained) {
  auto maps = explained.shown;
  for (const auto& [name, map] : explained.hidden) maps.emplace_back(name, map.narrow(1, 0, 1));
  return maps;
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
  input.ids = NameShortener(ids_of(batch));
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
  for (const auto& [name, shown] : shown_besides(explained)) {
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

std::vector<std::string> SamplePanels::ids_of(const Batch& batch) const {
  std::vector<std::string> ids;
  for (std::int64_t i = 0; i < batch.size(); ++i) ids.push_back(split_->id(batch.ids[i].item<std::int64_t>()));
  return ids;
}

std::int64_t SamplePanels::label_of(std::int64_t index) const {
  return split_->layout().labels == LabelKind::single ? split_->label(index) : -1;
}

}  // namespace isnet
