// isnet explain: heatmaps of a trained network, as HDF5 and as pictures.
#include <ATen/ATen.h>

#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "commands/picture_shard.h"
#include "commands/ranks.h"
#include "data/hdf5.h"
#include "evaluation/background_share.h"
#include "run/class_choice.h"
#include "run/inputs.h"
#include "run/model_options.h"
#include "run/sample_choice.h"
#include "run/sample_panels.h"
#include "run/trained_model.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> explain_options() {
  std::vector<OptionSpec> what{
      text_option("data", "", "DIR|FILE.h5", "Data set, or one shard (this or --image)"),
      text_option("image", "", "FILE,…", "Pictures of any kind that pack reads, instead of --data"),
      text_option(
          "class", "", class_choice_words,
          "Class whose maps are computed, instead of --heatmaps; predicted: the class that is decided "
          "for, highest: the largest logit"),
      text_option("split", "test", "NAME", "Split to explain"),
      text_option("output", "", "FILE.h5", "File for heatmaps, logits, ids, classes, masks"),
      text_option("pictures", "", "DIR", "Folder for PNG panels"),
      integer_option("pictures-limit", "16", "Panels to draw at most", 1),
      flag_option("train-statistics", "Normalise with each batch's statistics instead of the running ones"),
      integer_option("batch-size", "16", "Samples of a batch", 1),
      integer_option("seed", "0", "Seed of stochastic heatmaps", 0)};
  for (auto& more : sample_choice_options()) what.push_back(std::move(more));
  for (auto& more : explanation_options()) what.push_back(std::move(more));
  std::vector<OptionGroup> groups = trained_model_groups(std::move(what));
  groups.insert(groups.begin() + 1, {"Pictures (--image)", picture_shard_options(), {}});
  return groups;
}

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

// B×M, in double precision.
at::Tensor background_shares(const Explained& batch) {
  at::Tensor shares = at::empty({batch.heatmaps.size(0), batch.heatmaps.size(1)}, at::kDouble);
  for (std::int64_t i = 0; i < shares.size(0); ++i)
    for (std::int64_t map = 0; map < shares.size(1); ++map)
      shares[i][map] = background_share(doubles(batch.heatmaps[i][map]), doubles(batch.mask_of(i, map)));
  return shares;
}

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

  // shares: B×M, undefined without masks.
  void append(const Explained& batch, const at::Tensor& shares) {
    write("logits", batch.logits);
    write("heatmaps", batch.heatmaps);
    if (batch.masks.defined()) {
      write("masks", batch.masks);
      write("background_share", shares);
    }
    for (const auto& [name, map] : batch.shown) write(("map_" + name).c_str(), map);
    for (const auto& [name, map] : batch.hidden) write(("relevance_" + name).c_str(), map);
    if (batch.classes.defined()) {  // the same for all maps of an image
      const at::Tensor classes = batch.classes.select(1, 0).cpu().contiguous();
      if (written_ == 0) file_.create_dataset<std::int64_t>("map_class", {samples_});
      file_.dataset("map_class").write_rows(written_, classes.size(0), classes.data_ptr<std::int64_t>());
    }
    written_ += batch.logits.size(0);
  }
  void finish(const SplitReader& split, const std::vector<std::int64_t>& samples,
              const std::vector<std::string>& class_names) {
    const auto count = static_cast<std::int64_t>(samples.size());
    if (split.layout().labels == LabelKind::single) {
      std::vector<std::int64_t> labels;
      for (const auto i : samples) labels.push_back(split.label(i));
      file_.write("labels", labels, {count});
    } else if (split.layout().labels == LabelKind::multi) {
      const std::int64_t classes = file_.dataset("logits").shape()[1];
      std::vector<float> row(static_cast<std::size_t>(classes));
      std::vector<std::uint8_t> labels;
      for (const auto i : samples) {
        split.multi_label(i, row.data());
        for (const float value : row) labels.push_back(value > 0.5f);
      }
      file_.write("labels", labels, {count, classes});
    }
    std::vector<std::string> ids;
    for (const auto i : samples) ids.push_back(split.id(i));
    file_.write("ids", ids, {count});
    file_.write("samples", samples, {count});
    if (!class_names.empty())
      file_.write("class_names", class_names, {static_cast<std::int64_t>(class_names.size())});
    file_.close();
    commit_file(temporary_, path_);
    committed_ = true;
  }

 private:
  void write(const char* name, const at::Tensor& tensor) {
    if (dtype_ == at::kDouble || tensor.scalar_type() == at::kDouble)
      write_as<double>(name, tensor);
    else
      write_as<float>(name, tensor);
  }
  template <typename Real>
  void write_as(const char* name, const at::Tensor& tensor) {
    const at::Tensor host = tensor.to(at::kCPU, c10::CppTypeToScalarType<Real>::value).contiguous();
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

class ExplainRun {
 public:
  explicit ExplainRun(const OptionValues& given)
      : inputs_(given),
        device_(device_of(given, 0)),
        chosen_(given.given("heatmaps") || given.given("selective-class")),
        model_(load_trained_model(given, device_)),
        options_(model_.config.options()),
        split_(model_.data->split(options_.text("split"))),
        panels_(model_.network, split_, class_names(), {device_, model_.dtype}, options_, selection()) {
    for (const auto& image : options_.list("image")) inputs_.add("image", image);
  }

  int run() {
    const at::NoGradGuard no_grad;
    if (options_.has("output")) inputs_.refuse("output", options_.text("output"));
    const std::int64_t batch_size = options_.integer("batch-size");
    const auto samples = chosen_samples(*split_, class_names(), options_, batch_size,
                                        [this](const auto& some) { return right(some); });
    const auto count = static_cast<std::int64_t>(samples.size());
    std::unique_ptr<HeatmapFile> file;
    if (options_.has("output"))
      file = std::make_unique<HeatmapFile>(options_.text("output"), count, model_.dtype);
    if (options_.has("pictures")) create_folders(options_.text("pictures"));
    double background = 0;
    std::int64_t maps = 0;
    std::optional<Progress> progress(std::in_place, "explaining", count, "samples");
    for (std::int64_t first = 0; first < count; first += batch_size) {
      const Batch batch =
          panels_.read({samples.begin() + first, samples.begin() + std::min(first + batch_size, count)});
      const Explained explained = panels_.explain(batch, statistics());
      const at::Tensor shares = batch.masks.defined() ? background_shares(explained) : at::Tensor();
      if (file) file->append(explained, shares);
      progress->advance(batch.size());
      if (shares.defined()) {
        background += shares.sum().item<double>();
        maps += shares.numel();
      }
      for (std::int64_t i = 0; i < batch.size(); ++i)
        if (options_.has("pictures") && first + i < options_.integer("pictures-limit"))
          draw(batch, explained, i);
    }
    if (file) file->finish(*split_, samples, class_names());
    progress.reset();
    std::cout << count << " samples of split " << split_->name() << " explained";
    if (maps > 0)
      std::cout << "; share of relevance in the background, mean over " << maps
                << " heatmaps: " << background / static_cast<double>(maps);
    std::cout << '\n';
    return 0;
  }

 private:
  // The model's, by which people know its logits; data without labels need not have any.
  std::vector<std::string> class_names() const {
    const auto classes = static_cast<std::size_t>(model_.network->num_classes());
    return model_.class_names.size() == classes ? model_.class_names : model_.data->description().class_names;
  }

  // As the user says; maps by label that the model was trained with are not possible without labels.
  std::shared_ptr<const HeatmapSelection> selection() {
    if (!options_.has("class")) return heatmap_selections().at(heatmaps()).make(options_);
    if (chosen_) fail(ErrorKind::usage, "--class and --heatmaps (or --selective-class) exclude each other");
    const bool multi =
        model_.task == task_name(LabelKind::multi) || split_->layout().labels == LabelKind::multi;
    return select_classes(options_.text("class"), "class", class_names(), multi, options_);
  }

  std::string heatmaps() {
    const bool by_label =
        options_.text("heatmaps") == "label" ||
        (options_.text("heatmaps") == "selective" && options_.text("selective-class") == "label");
    if (chosen_ || !by_label || split_->layout().labels != LabelKind::none) return options_.text("heatmaps");
    log::info("the data have no labels: one map for each class instead of the label's");
    return "all";
  }

  BatchStatistics statistics() const {
    return options_.flag("train-statistics") ? BatchStatistics::batch : BatchStatistics::running;
  }

  // Whether the decisions about these samples are right; multi-label: about every class.
  std::vector<std::uint8_t> right(const std::vector<std::int64_t>& samples) const {
    const Batch batch = panels_.read(samples);
    const at::Tensor logits = panels_.logits(batch, statistics());
    const at::Tensor flags = (split_->layout().labels == LabelKind::multi
                                  ? ((logits > 0) == (batch.labels > 0.5)).all(1)
                                  : logits.argmax(1) == batch.labels)
                                 .to(at::kCPU, at::kByte)
                                 .contiguous();
    return {flags.data_ptr<std::uint8_t>(), flags.data_ptr<std::uint8_t>() + flags.numel()};
  }

  void draw(const Batch& batch, const Explained& explained, std::int64_t i) const {
    const std::int64_t index = batch.ids[i].item<std::int64_t>();
    // The number keeps apart ids that only differ in characters that file names cannot have.
    const std::string name = safe_file_name(
        cat(std::string(index < 100000 ? 5 - cat(index).size() : 0, '0'), index, "-", split_->id(index)));
    const auto file = std::filesystem::path(options_.text("pictures")) / name;
    inputs_.refuse("pictures", file);
    write_png(file, panels_.draw(batch, explained, i));
  }

  InputFiles inputs_;
  at::Device device_;
  bool chosen_;  // the user named the maps
  TrainedModel model_;
  const OptionValues& options_;
  std::shared_ptr<const SplitReader> split_;
  SamplePanels panels_;
};

int run_explain(Invocation& invocation) {
  if (!invocation.options.has("output") && !invocation.options.has("pictures"))
    fail(ErrorKind::usage, "nothing to write: give --output FILE.h5, --pictures DIR, or both");
  return run_alone(invocation, [&](World&) {
    OptionValues& options = invocation.options;
    std::optional<PictureShard> pictures;
    if (options.has("image")) {
      if (options.has("data")) fail(ErrorKind::usage, "--image and --data exclude each other");
      pictures.emplace(options.list("image"), options, trained_shape(options));
      options.set("data", pictures->path());
    }
    return ExplainRun(options).run();
  });
}

Command explain_command() {
  return {"explain",
          "Compute heatmaps of a trained network",
          "isnet explain --checkpoint RUN --data DIR|--image FILE --output FILE.h5 [options]",
          {},
          explain_options,
          run_explain,
          50,
          {{"isnet explain --checkpoint runs/first --data data/photos --output heatmaps.h5 --pictures panels"},
           {"checkpoint", "weights", "data", "split", "output", "pictures", "pictures-limit", "limit", "batch-size",
            "method", "heatmaps", "lrp-rule", "first-layer", "lrp-epsilon", "train-statistics", "seed", "device"}}};
}

const CommandRegistration registration(explain_command);

}  // namespace
}  // namespace isnet::cli
