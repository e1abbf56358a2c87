// isnet explain: heatmaps of a trained network, as HDF5 and as pictures.
#include <ATen/ATen.h>

#include <cstdlib>
#include <iostream>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/model_setup.h"
#include "data/hdf5.h"
#include "data/loader.h"
#include "evaluation/background_share.h"
#include "evaluation/panel.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "trainer/batches.h"
#include "trainer/distributed/bootstrap.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> explain_options() {
  std::vector<OptionSpec> what = trained_model_options();
  for (auto& more :
       {text_option("data", "", "DIR|FILE.h5", "data set, or one shard (required)"),
        text_option("split", "test", "NAME", "split to explain"),
        text_option("output", "", "FILE.h5", "file for logits, heatmaps, labels, ids"),
        text_option("pictures", "", "DIR", "folder for PNG panels"),
        integer_option("limit", "0", "explain the first N samples only; 0: all", 0),
        integer_option("pictures-limit", "16", "panels to draw at most", 1),
        flag_option("train-statistics", "normalise with each batch's statistics instead of the running ones"),
        integer_option("batch-size", "16", "samples of a batch", 1),
        integer_option("seed", "0", "of stochastic heatmaps", 0)})
    what.push_back(more);
  std::vector<OptionGroup> groups{{"Model and data", std::move(what), {}}};
  groups.push_back({"Device", device_option_specs(), {}});
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  return groups;
}

struct Explained {
  at::Tensor logits, heatmaps, classes;  // B×K, B×M×3×H×W, B×M or undefined
  at::Tensor masks;                      // B×1×H×W, or B×M×1×H×W; undefined: none
  at::Tensor starts;                     // B×M×K: what each map starts from
};

// The datasets of --output, filled batch by batch into a temporary file that gets its name at the end.
class HeatmapFile {
 public:
  HeatmapFile(std::filesystem::path path, std::int64_t samples, at::ScalarType dtype)
      : path_(std::move(path)),
        temporary_(temporary_name(path_)),
        file_(hdf5::File::create(temporary_)),
        samples_(samples),
        dtype_(dtype) {}
  ~HeatmapFile() {
    std::error_code ignored;
    if (!committed_) std::filesystem::remove(temporary_, ignored);
  }
  HeatmapFile(const HeatmapFile&) = delete;
  HeatmapFile& operator=(const HeatmapFile&) = delete;

  void append(const Explained& batch) {
    write("logits", batch.logits);
    write("heatmaps", batch.heatmaps);
    if (batch.classes.defined()) {  // the same for all maps of an image
      const at::Tensor classes = batch.classes.select(1, 0).cpu().contiguous();
      if (written_ == 0) file_.create_dataset<std::int64_t>("map_class", {samples_});
      file_.dataset("map_class").write_rows(written_, classes.size(0), classes.data_ptr<std::int64_t>());
    }
    written_ += batch.logits.size(0);
  }
  void finish(const SplitReader& split, std::int64_t samples) {
    if (split.layout().labels == LabelKind::single) {
      std::vector<std::int64_t> labels;
      for (std::int64_t i = 0; i < samples; ++i) labels.push_back(split.label(i));
      file_.write("labels", labels, {samples});
    } else if (split.layout().labels == LabelKind::multi) {
      const std::int64_t classes = file_.dataset("logits").shape()[1];
      std::vector<float> row(static_cast<std::size_t>(classes));
      std::vector<std::uint8_t> labels;
      for (std::int64_t i = 0; i < samples; ++i) {
        split.multi_label(i, row.data());
        for (const float value : row) labels.push_back(value > 0.5f);
      }
      file_.write("labels", labels, {samples, classes});
    }
    std::vector<std::string> ids;
    for (std::int64_t i = 0; i < samples; ++i) ids.push_back(split.id(i));
    file_.write("ids", ids, {samples});
    file_.close();
    commit_file(temporary_, path_);
    committed_ = true;
  }

 private:
  void write(const char* name, const at::Tensor& tensor) {
    if (dtype_ == at::kDouble)
      write_as<double>(name, tensor);
    else
      write_as<float>(name, tensor);
  }
  template <typename Real>
  void write_as(const char* name, const at::Tensor& tensor) {
    const at::Tensor host = tensor.to(at::kCPU, dtype_).contiguous();
    if (written_ == 0) {
      hdf5::Shape shape = host.sizes().vec();
      shape[0] = samples_;
      file_.create_dataset<Real>(name, shape);
    }
    file_.dataset(name).write_rows(written_, host.size(0), host.data_ptr<Real>());
  }

  std::filesystem::path path_, temporary_;
  hdf5::File file_;
  std::int64_t samples_;
  at::ScalarType dtype_;
  std::int64_t written_ = 0;
  bool committed_ = false;
};

std::vector<float> floats(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

class Explainer {
 public:
  Explainer(OptionValues& options)
      : options_(options),
        device_(device_of(options, 0)),
        model_(load_trained_model(options, device_)),
        dtype_(model_.dtype),
        split_(model_.data->split(options.text("split"))),
        selection_(heatmap_selections().at(options.text("heatmaps")).make(options)) {
    lrp_ = lrp_options(options);
    const std::int64_t limit = options.integer("limit");
    samples_ = limit > 0 ? std::min(limit, split_->size()) : split_->size();
  }

  int run() {
    const at::NoGradGuard no_grad;
    std::unique_ptr<HeatmapFile> file;
    if (options_.has("output"))
      file = std::make_unique<HeatmapFile>(options_.text("output"), samples_, dtype_);
    if (options_.has("pictures")) create_folders(options_.text("pictures"));
    double background = 0;
    std::int64_t maps = 0;
    for (std::int64_t first = 0; first < samples_; first += options_.integer("batch-size")) {
      const Batch batch = read(first, std::min(options_.integer("batch-size"), samples_ - first));
      const Explained explained = explain(batch);
      if (file) file->append(explained);
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        if (batch.masks.defined()) add_background(explained, i, background, maps);
        if (options_.has("pictures") && first + i < options_.integer("pictures-limit"))
          draw(batch, explained, i);
      }
    }
    if (file) file->finish(*split_, samples_);
    std::cout << samples_ << " samples of split " << split_->name() << " explained";
    if (maps > 0)
      std::cout << "; share of relevance in the background, mean over " << maps
                << " heatmaps: " << background / static_cast<double>(maps);
    std::cout << '\n';
    return 0;
  }

 private:
  Batch read(std::int64_t first, std::int64_t count) const {
    BatchPlan plan;
    for (std::int64_t i = 0; i < count; ++i) plan.ids.push_back(first + i);
    plan.counted.assign(plan.ids.size(), 1);
    return to_batch(read_batch(*split_, plan, 0, 0, dtype_ == at::kDouble), device_, dtype_);
  }

  Explained explain(const Batch& batch) const {
    TapeContext context;
    context.recording = true;
    context.network = model_.network.get();
    context.bfloat16 = model_.network->bfloat16;
    context.fused = fuses(batch.images);
    context.statistics =
        options_.flag("train-statistics") ? BatchStatistics::batch : BatchStatistics::running;
    Tape tape(std::move(context));
    const Value out = model_.network->forward(tape, batch.images);
    const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch,
                                                 static_cast<std::uint64_t>(options_.integer("seed")));
    return {tape.output(out), relevance(tape, out, selected, lrp_).pixels, selected.classes,
            batch.masks.defined() ? selected_masks(batch.masks, selected) : at::Tensor(),
            selected.start.coefficients.detach()};
  }

  static at::Tensor mask_of(const Explained& explained, std::int64_t i, std::int64_t map) {
    const at::Tensor mask = explained.masks[i];  // 1×H×W or M×1×H×W
    return mask.dim() == 3 ? mask : mask[map];
  }

  static void add_background(const Explained& explained, std::int64_t i, double& sum, std::int64_t& maps) {
    for (std::int64_t map = 0; map < explained.heatmaps.size(1); ++map, ++maps)
      sum += background_share(floats(explained.heatmaps[i][map]), floats(mask_of(explained, i, map)));
  }

  void draw(const Batch& batch, const Explained& explained, std::int64_t i) const {
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
    for (const std::int64_t map : shown_maps(explained, logits, i, single ? label_of(index) : -1)) {
      const std::int64_t k =
          explained.classes.defined() ? explained.classes[i][map].item<std::int64_t>() : map;
      input.maps.push_back(k < 0 ? joint_caption(explained.starts[i][map], logits)
                                 : caption_of(k, batch, i, logits, probabilities));
      const auto values = floats(explained.heatmaps[i][map]);
      heatmaps.insert(heatmaps.end(), values.begin(), values.end());
      if (explained.masks.defined() && (mask.empty() || explained.masks.dim() == 5)) {
        const auto more = floats(mask_of(explained, i, map));
        mask.insert(mask.end(), more.begin(), more.end());
      }
    }
    input.image = image;
    input.mask = mask;
    input.heatmaps = heatmaps;
    // The number keeps apart ids that only differ in characters that file names cannot have.
    const std::string name = safe_file_name(
        cat(std::string(index < 100000 ? 5 - cat(index).size() : 0, '0'), index, "-", input.title));
    write_png(std::filesystem::path(options_.text("pictures")) / name, panel(input));
  }

  MapCaption caption_of(std::int64_t k, const Batch& batch, std::int64_t i, const at::Tensor& logits,
                        const at::Tensor& probabilities) const {
    const bool single = split_->layout().labels != LabelKind::multi;
    MapCaption caption;
    caption.class_name = model_.data->description().class_names.at(static_cast<std::size_t>(k));
    caption.logit = logits[k].item<double>();
    caption.probability = probabilities[k].item<double>();
    caption.is_label =
        single ? label_of(batch.ids[i].item<std::int64_t>()) == k : batch.labels[i][k].item<double>() > 0.5;
    caption.is_predicted = single ? logits.argmax().item<std::int64_t>() == k : caption.logit > 0;
    return caption;
  }

  // Of a map that starts at several logits together.
  MapCaption joint_caption(const at::Tensor& start, const at::Tensor& logits) const {
    const at::Tensor starts = start.to(at::kCPU, at::kDouble);
    MapCaption caption;
    caption.logit = (starts * logits).sum().item<double>();
    caption.probability = std::numeric_limits<double>::quiet_NaN();
    for (std::int64_t k = 0; k < starts.size(0); ++k)
      if (starts[k].item<double>() != 0)
        caption.class_name += (caption.class_name.empty() ? "" : " + ") +
                              model_.data->description().class_names.at(static_cast<std::size_t>(k));
    if (caption.class_name.empty()) caption.class_name = "no label";
    return caption;
  }

  std::int64_t label_of(std::int64_t index) const {
    return split_->layout().labels == LabelKind::single ? split_->label(index) : -1;
  }

  static std::vector<std::int64_t> shown_maps(const Explained& explained, const at::Tensor& logits,
                                              std::int64_t, std::int64_t label) {
    if (explained.classes.defined()) {
      std::vector<std::int64_t> every(static_cast<std::size_t>(explained.heatmaps.size(1)));
      for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::int64_t>(i);
      return every;
    }
    return maps_to_show({logits.data_ptr<double>(), static_cast<std::size_t>(logits.size(0))}, label, 10);
  }

  OptionValues& options_;
  at::Device device_;
  TrainedModel model_;
  at::ScalarType dtype_;
  std::shared_ptr<const SplitReader> split_;
  std::unique_ptr<HeatmapSelection> selection_;
  LrpOptions lrp_;
  std::int64_t samples_ = 0;
};

int run_explain(Invocation& invocation) {
  if (!invocation.options.has("output") && !invocation.options.has("pictures"))
    fail(ErrorKind::usage, "nothing to write: give --output FILE.h5, --pictures DIR, or both");
  const auto world = std::make_shared<World>(WorldOptions{});
  invocation.on_failure = [world](int status) { std::_Exit(world->fail(status)); };
  if (world->size() > 1)
    fail(ErrorKind::usage, "explain runs as one process: start it without mpirun, or with -n 1");
  return world->finish(Explainer(invocation.options).run());
}

Command explain_command() {
  return {"explain",
          "Compute heatmaps of a trained network",
          "isnet explain --checkpoint FILE --data DIR --output FILE.h5 [options]",
          {},
          explain_options,
          run_explain,
          50};
}

const CommandRegistration registration(explain_command);

}  // namespace
}  // namespace isnet::cli
