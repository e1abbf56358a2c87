// isnet train: from options to a fitted network in a run folder.
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/augmentation/augmentation.h"
#include "data/sampling/sampling.h"
#include "data/staging.h"
#include "data/summary.h"
#include "model/losses/classification_loss.h"
#include "model/weights.h"
#include "run/data_identity.h"
#include "run/heatmap_images.h"
#include "run/model_options.h"
#include "run/range_test.h"
#include "run/resume_options.h"
#include "run/run_start.h"
#include "run/stored_options.h"
#include "run/trained_model.h"
#include "trainer/callbacks/folder_watch.h"
#include "trainer/callbacks/model_checkpoint.h"
#include "trainer/callbacks/progress.h"
#include "trainer/data_agreement.h"
#include "trainer/model_summary.h"
#include "trainer/run_folder.h"
#include "trainer/trainer.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> train_options() {
  std::vector<OptionGroup> groups;
  groups.push_back(
      {"Data and output",
       {text_option("data", "", "DIR", "data set, or one shard (required)"),
        text_option("stage", "", "DIR",
                    "folder of each host to which the shards are copied first, and where they are kept"),
        verify_data_option(), text_option("output", "", "DIR", "folder of the run (required)"),
        text_option("weights", "", "FILE", "start from these weights (.safetensors, or .pth of Python)"),
        text_option("unet-weights", "", "FILE",
                    "pipeline: the trained U-Net (weights or checkpoint); it stands still"),
        switch_option("allow-other-data", false,
                      "resume on other data than the run began with, of as many training samples")},
       {}});
  for (auto& option : run_start_options()) groups.back().options.push_back(std::move(option));
  for (auto& option : shard_limit_options()) groups.back().options.push_back(std::move(option));
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  groups.push_back({"Optimiser", optimizer_options(), {}});
  groups.push_back({"Learning rate", schedule_options(), {}});
  groups.push_back({"Augmentation", Augmentation::options(), {}});
  groups.push_back({"Training", trainer_option_specs(), {}});
  groups.push_back({"Learning-rate range test", range_test_options(), {}});
  groups.push_back({"Callbacks and loggers", callback_options(), {}});
  groups.back().options.push_back(integer_option(
      "model-summary", "1", "levels of modules that are listed at the start; 0: none", 0, 100));
  for (auto& option : heatmap_image_options()) groups.back().options.push_back(std::move(option));
  groups.push_back({"Distribution", distributed_options(), {}});
  for (auto& option : ddp_option_specs()) groups.back().options.push_back(std::move(option));
  return groups;
}

// The training of one rank, from options to outcome.
class Training {
 public:
  Training(OptionValues& options, World& world)
      : options_(options),
        folder_(options.text("output")),
        device_(device_of(options, world.local_rank())),
        communicator_(world, process_group_options(options, device_.type())),
        start_(options, communicator_, folder_) {}

  int run() {
    if (communicator_.world_size() > 1 && !communicator_.is_main())
      log::configure({log::Level::warning, cat("rank ", communicator_.rank(), ": ")});
    open_data();
    read_first_weights();
    settle_defaults(options_);
    check_validation();
    if (!options_.has("recompute-bn-statistics"))
      options_.set(
          "recompute-bn-statistics",
          options_.text("objective") != "classifier" || options_.text("average") != "none" ? "64" : "0");
    settle_class_weights();
    check_same_on_all_ranks(
        communicator_, {{"options", options_.ini()}, {"torch", TORCH_VERSION}, {"data set", data_text()}});
    make_job();
    const auto resumed = find_checkpoint();
    Trainer(training_options(), communicator_, {}).check(*job_, resumed ? &*resumed : nullptr);
    if (resumed) refuse_other_data(*resumed);
    if (options_.integer("find-lr") > 0) {
      if (resumed)
        fail(ErrorKind::usage, "--find-lr tries rates from the beginning of a training: without --resume");
      find_learning_rate(*job_, training_options(), communicator_, options_, folder_.path());
      return 0;
    }
    if (!trial()) {
      if (options_.integer("tensorboard-images") > 0)
        images_ = std::make_shared<HeatmapImages>(*job_, options_, data_->description().class_names,
                                                  EvaluationPlace{device_, precision_of(options_)});
      start_.open(resumed.has_value());
    }
    return fit(resumed ? &*resumed : nullptr);
  }

 private:
  void open_data() {
    std::optional<std::int64_t> classes;
    if (options_.has("num-classes")) classes = options_.integer("num-classes");
    data_ = std::make_unique<DataSet>(options_.text("data"), classes, shard_limits(options_));
    if (options_.has("stage")) stage(classes);
    DataAgreement agreement(communicator_, *data_, splits_in_use(), verify_data_of(options_));
    train_ = data_->split("train");
    if (!data_->is_single_shard() && data_->has_split("val")) validation_ = data_->split("val");
    agreement.check();
    if (!options_.has("num-classes") && data_->class_count() > 0)
      options_.set("num-classes", cat(data_->class_count()));
    settle_normal_class();
  }

  // Without validation nothing can watch its metrics: said, or refused where something was asked to watch.
  void check_validation() const {
    if (validation_ && trainer_options(options_).limit_val_batches.value > 0) return;
    const std::string& monitor = options_.text("monitor");
    const std::string reason = validation_
                                   ? "--limit-val-batches 0 leaves nothing of the split val"
                                   : cat(data_->path().string(), " has no split val (", splits_text(), ")");
    std::string watcher;
    if (options_.integer("early-stopping-patience") > 0) watcher = "--early-stopping-patience";
    if (options_.has("early-stopping-threshold")) watcher = "--early-stopping-threshold";
    if (options_.text("lr-schedule") == "reduce-on-plateau") watcher = "--lr-schedule reduce-on-plateau";
    if (!watcher.empty() && monitor.starts_with("val_"))
      fail(ErrorKind::usage, watcher, ": watches ", monitor, ", but ", reason,
           ": pack one (isnet pack --splits train=0.8,val=0.2), or give --monitor train_loss");
    log::warning(cat("no validation: ", reason,
                     "; the last epoch counts as the best, and nothing watches for "
                     "overfitting"));
  }

  std::string splits_text() const {
    if (data_->is_single_shard()) return "it is one shard";
    std::string text;
    for (const auto& name : data_->split_names()) text += (text.empty() ? "it has " : ", ") + name;
    return text;
  }

  // The class of images without findings, where the data names it as public sets of chest X-rays do.
  void settle_normal_class() {
    const auto& names = data_->description().class_names;
    const auto named = std::find(names.begin(), names.end(), "No Finding");
    if (named != names.end() && options_.text("network") == "ham" && !options_.has("normal-class"))
      options_.set("normal-class", cat(named - names.begin()));
  }

  std::vector<std::string> splits_in_use() const {
    std::vector<std::string> splits{"train"};
    if (!data_->is_single_shard() && data_->has_split("val")) splits.emplace_back("val");
    return splits;
  }

  void stage(std::optional<std::int64_t> classes) {
    const auto place =
        stage_data(*data_, splits_in_use(), options_.text("stage"),
                   {communicator_.local_rank(), communicator_.local_size()}, verify_data_of(options_));
    communicator_.barrier();
    data_ = std::make_unique<DataSet>(place, classes, shard_limits(options_));
  }

  std::string data_text() const {
    std::string text = cat(data_->class_count(), " classes, ", train_->size(), " training samples");
    for (const auto& [split, shards] : data_->description().splits)
      for (const auto& shard : shards)
        text += cat("\n", split, " ", shard.file, " ", shard.samples, " ", shard.sha256);
    return text;
  }

  // Whether a DenseNet's transitions have a ReLU goes with its weights: no shape tells the variants apart.
  void read_first_weights() {
    if (!options_.has("weights")) return;
    const std::string& file = options_.text("weights");
    first_weights_ = read_weights(file);
    if (is_ours(*first_weights_))
      StoredOptions(file, first_weights_->metadata.at("isnet.options")).adopt(options_, {"transition-relu"});
    else
      settle_foreign_weights(options_, file, first_weights_->torch_save);
  }

  // "balanced" becomes numbers here, so that everything that knows the options needs no data.
  void settle_class_weights() {
    for (const char* name : {"class-weights", "positive-weights"}) {
      if (!options_.known(name) || options_.text(name) != "balanced") continue;
      if (train_->layout().labels == LabelKind::none)
        fail(ErrorKind::data, data_->path().string(), ": the split train has no labels, which --", name,
             " balanced needs");
      const auto counts = summarise(*train_, options_.integer("num-classes"), 0).class_counts;
      const auto weights = std::string_view(name) == "class-weights"
                               ? balanced_class_weights(counts, train_->size())
                               : balanced_positive_weights(counts, train_->size());
      std::string text;
      for (const double weight : weights) text += (text.empty() ? "" : ",") + nlohmann::json(weight).dump();
      options_.set(name, text);
    }
  }

  void make_job() {
    order_ = samplings().at(options_.text("sampling")).make(*train_, training_options().seed);
    const auto network =
        make_network(options_, options_.has("num-classes") ? options_.integer("num-classes") : 1, device_,
                     precision_of(options_));
    if (first_weights_) {
      const std::string& file = options_.text("weights");
      announce_weights(file, load_weights(file, *first_weights_, *network, {network->head_name()}));
      first_weights_.reset();
    }
    if (options_.has("unet-weights")) load_unet(options_, *network);
    std::shared_ptr<Objective> objective = objectives().at(options_.text("objective")).make(options_);
    require_outputs(*objective, options_.text("objective"), *network);
    if (!objective->needs_pixels()) network->classify_only();
    if (objective->needs_masks() && train_->layout().mask_channels == 0)
      fail(ErrorKind::data, data_->path().string(), ": the split train has no masks, which --objective ",
           options_.text("objective"), " needs; add them, or use --objective classifier");
    NamedParameters parameters;
    for (const auto& entry : network->named_parameters()) parameters.emplace_back(entry.key(), entry.value());
    freeze(parameters, options_, network->head_name());
    job_ = std::make_unique<TrainingJob>(
        TrainingJob{network, std::move(objective), make_optimizer(parameters, options_, network->head_name()),
                    std::make_shared<LearningRate>(options_), train_, validation_});
  }

  // The checkpoint to resume from, on every rank.
  std::optional<StoredCheckpoint> find_checkpoint() {
    auto found = start_.find_checkpoint();
    if (!found) return std::nullopt;
    auto& [file, checkpoint] = *found;
    if (const auto largest = settle_resumed_options(options_, checkpoint, file, communicator_.world_size()))
      largest_share_ = *largest;
    if (const auto difference = circumstances_difference(checkpoint, communicator_); !difference.empty())
      log::warning(difference);
    log::info(cat("resuming from ", file, " (", text_of(position_of(checkpoint)), ")"));
    return std::move(checkpoint);
  }

  void refuse_other_data(const Checkpoint& checkpoint) const {
    const auto difference = data_difference(checkpoint, data_identity(*data_));
    if (difference.empty()) {
      if (!checkpoint.state.contains("data"))
        log::info(
            "the checkpoint does not say what its data were: only their number and classes are compared");
    } else if (options_.flag("allow-other-data")) {
      log::warning(cat("--allow-other-data: the run goes on with other data: ", difference));
    } else {
      fail(ErrorKind::usage, "--resume: the checkpoint was trained on other data than those of --data ",
           data_->path().string(), ": ", difference,
           "; resume on the same data, or allow others with --allow-other-data 1");
    }
  }

  bool trial() const { return options_.integer("fast-dev-run") > 0; }

  TrainerOptions training_options() const {
    TrainerOptions trainer = trainer_options(options_);
    trainer.device = device_;
    trainer.order = order_;
    trainer.ddp = ddp_options(options_);
    trainer.largest_share = largest_share_;
    return trainer;
  }

  int fit(const Checkpoint* resumed) {
    nlohmann::json state{{"options", portable_options(options_)},
                         {"class_names", data_->description().class_names},
                         {"data", data_identity(*data_)},
                         {"task", task_name(data_->description().task)}};
    CheckpointWriterOptions writing;
    if (const auto lock = start_.lock()) writing.before_write = [lock] { lock->check(); };
    const auto checkpoints = std::make_shared<ModelCheckpoint>(folder_, state, writing);
    const bool quiet = options_.flag("quiet");
    std::vector<std::shared_ptr<Callback>> callbacks{
        std::make_shared<FolderWatch>(start_.lock()),
        std::make_shared<ProgressBar>(::isatty(STDERR_FILENO) == 1, quiet),
    };
    if (!trial()) {
      for (auto& callback : make_callbacks({options_, folder_})) callbacks.push_back(std::move(callback));
      if (images_) callbacks.push_back(images_);
      callbacks.push_back(checkpoints);
    }
    Trainer trainer(training_options(), communicator_, callbacks);
    announce(*job_->network);
    const FitOutcome outcome = trainer.fit(*job_, resumed);
    if (outcome == FitOutcome::interrupted) {
      log::info(cat("stopped in epoch ", trainer.position().epoch, ", batch ", trainer.position().batch,
                    "; the run goes on with --resume last"));
      return exit_status_stopped;
    }
    if (trial()) log::info("the trial went through; nothing was written");
    if (communicator_.is_main() && !trial()) export_best(*checkpoints);
    for (const auto& callback : callbacks) callback->on_run_end(trainer);
    return 0;
  }

  void announce(const Network& network) const {
    std::int64_t parameters = 0;
    for (const auto& parameter : network.parameters()) parameters += parameter.numel();
    log::info(cat(options_.text("network"), " with ", parameters, " parameters, ", data_->class_count(),
                  " classes, ", train_->size(), " training samples; objective ", options_.text("objective"),
                  "; ", communicator_.world_size(), " rank(s), backend ", communicator_.backend(), ", ",
                  at::get_num_threads(), " thread(s) each"));
    const auto& layout = train_->layout();
    const std::int64_t rows = network.output_side(layout.height), columns = network.output_side(layout.width);
    if (job_->objective->needs_pixels() && (rows != layout.height || columns != layout.width))
      log::info(cat("the network has logits for the middle ", rows, "×", columns, " of ", layout.height, "×",
                    layout.width, " pixels: masks are cut to it"));
    if (const std::int64_t depth = options_.integer("model-summary"); depth > 0)
      log::info(cat("the network:\n", model_summary(network, static_cast<int>(depth))));
  }

  void export_best(const ModelCheckpoint& checkpoints) const {
    const auto best = checkpoints.best();
    const StoredCheckpoint checkpoint = load_checkpoint(best, Links::refuse);
    const NamedTensors tensors = model_tensors(checkpoint, options_.flag("use-average"));
    OptionValues options = options_;
    for (const auto& [name, value] : found_options(checkpoint)) options.set(name, value);
    auto metadata = weights_metadata(options, data_->description().class_names,
                                     task_name(data_->description().task));
    const auto position = position_of(checkpoint);
    const auto epoch =
        position.batch > 0 ? position.epoch : position.epoch - 1;  // else it is that of the next
    metadata["isnet.epoch"] = cat(epoch);
    metadata["isnet.step"] = cat(position.global_step);
    std::string score;
    if (const auto value = checkpoints.best_value()) {
      metadata["isnet.monitor"] = options_.text("monitor");
      metadata["isnet.score"] = nlohmann::json(*value).dump();
      score = cat(", ", options_.text("monitor"), " ", metadata["isnet.score"]);
    }
    start_.lock()->check();
    safetensors::write(folder_.weights(), views_of(tensors), metadata);
    log::info(cat("weights of ", best.filename().string(), " (epoch ", epoch, ", step ", position.global_step,
                  score, ") written to ", folder_.weights().string()));
  }

  OptionValues& options_;
  RunFolder folder_;
  at::Device device_;
  Communicator communicator_;
  RunStart start_;
  std::unique_ptr<DataSet> data_;
  std::shared_ptr<const SplitReader> train_, validation_;
  std::shared_ptr<const SampleOrder> order_;  // of train_
  std::int64_t largest_share_ = 0;
  std::optional<StoredWeights> first_weights_;  // --weights, until the network has them
  std::unique_ptr<TrainingJob> job_;
  std::shared_ptr<HeatmapImages> images_;
};

int run_train(Invocation& invocation) {
  const bool trial = invocation.options.integer("fast-dev-run") > 0;
  for (const char* name : {"data", "output"})
    if (!invocation.options.has(name) && !(trial && std::string_view(name) == "output"))
      fail(ErrorKind::usage, "--", name, ": is required");
  return run_on_ranks(invocation, world_options(invocation.options), [&](World& world) {
    return Training(invocation.options, world).run();
  });
}

Command train_command() {
  return {"train",
          "Train a classifier, or an ISNet, on one or many ranks",
          "isnet train --data DIR --output DIR [options]",
          {},
          train_options,
          run_train,
          30};
}

const CommandRegistration registration(train_command);

}  // namespace
}  // namespace isnet::cli
