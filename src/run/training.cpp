#include "run/training.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "data/sampling/sampling.h"
#include "run/data_identity.h"
#include "run/graph_options.h"
#include "run/heatmap_images.h"
#include "run/range_test.h"
#include "run/resume_options.h"
#include "run/resumed_run.h"
#include "run/trained_model.h"
#include "run/validation_scores.h"
#include "run/weights_export.h"
#include "trainer/callbacks/folder_watch.h"
#include "trainer/callbacks/progress.h"
#include "trainer/exchanged_backgrounds.h"
#include "trainer/model_summary.h"

namespace isnet {

Training::Training(OptionValues given, World& world, std::vector<std::string> plugin_options)
    : given_(std::move(given)),
      plugin_options_(std::move(plugin_options)),
      folder_(given_.text("output")),
      device_(device_of(given_, world.local_rank())),
      communicator_(world, process_group_options(given_, device_.type())),
      start_(given_, communicator_, folder_) {}

Training::~Training() = default;

int Training::run() {
  if (communicator_.world_size() > 1 && !communicator_.is_main())
    log::configure({log::Level::warning, cat("rank ", communicator_.rank(), ": ")});
  resumed_ = start_.find_checkpoint();
  if (resumed_) adopt_options_of_run(given_, *resumed_, communicator_, callback_options_of_plugins());
  if (!given_.has("data")) fail(ErrorKind::usage, "--data: is required");
  data_ = open_training_data(given_, communicator_);
  settle();
  make_job();
  const Checkpoint* resumed = resumed_ ? &resumed_->checkpoint : nullptr;
  Trainer(trainer_options(), communicator_, {}).check(*job_, resumed);
  if (resumed) refuse_other_data(*resumed);
  if (given_.integer("find-lr") > 0) {
    if (resumed)
      fail(ErrorKind::usage, "--find-lr tries rates from the beginning of a training: without --resume");
    find_learning_rate(*job_, trainer_options(), communicator_, config_->options(), folder_.path());
    return 0;
  }
  if (!is_trial()) {
    if (given_.integer("tensorboard-images") > 0)
      images_ = std::make_shared<HeatmapImages>(*job_, config_->options(), facts_.class_names,
                                                EvaluationPlace{device_, config_->model().dtype});
    start_.open(resumed_.has_value(), config_->options());
  }
  return fit();
}

// Plug-ins that watch a run, or disturb it, do so once.
std::set<std::string> Training::callback_options_of_plugins() const {
  std::set<std::string> names;
  for (const auto& option : callbacks().options())
    if (std::find(plugin_options_.begin(), plugin_options_.end(), option.name) != plugin_options_.end())
      names.insert(option.name);
  return names;
}

// Reads the files that the run begins from, and settles its options, alike on all ranks.
void Training::settle() {
  facts_ = facts_of(*data_.set, *data_.train, given_);
  if (given_.has("weights"))
    first_weights_ = read_weights_model(given_.text("weights"));
  else if (begins_with_model(given_))
    first_weights_ = read_weights_model(given_.text("model"));
  else if (!resumed_ && given_.text("network") == "onnx" && given_.has("model"))
    fail(ErrorKind::usage, "--model: there is neither the file '", given_.text("model"),
         "' nor a checkpoint to resume from");
  const std::string& around = networks().at(given_.text("network")).capabilities.around;
  if (!around.empty() && given_.has("unet-weights")) unet_ = read_stored_model(given_.text("unet-weights"));
  config_ = resolve(given_, facts_,
                    {.weights = first_weights_ ? &*first_weights_ : nullptr,
                     .unet = unet_ ? &*unet_ : nullptr,
                     .resumed = resumed_ ? &*resumed_ : nullptr},
                    communicator_.world_size());
  announce(*config_);
  check_same_on_all_ranks(
      communicator_,
      {{"options", config_->options().ini()}, {"torch", TORCH_VERSION}, {"data set", data_.text()}});
  if (!resumed_) return;
  if (const auto difference = circumstances_difference(resumed_->checkpoint, communicator_);
      !difference.empty())
    log::warning(difference);
  log::info(cat("resuming from ", resumed_->file, " (", text_of(position_of(resumed_->checkpoint)), ")"));
}

void Training::make_job() {
  const OptionValues& options = config_->options();
  order_ = samplings().at(options.text("sampling")).make(*data_.train, config_->trainer()->seed);
  const auto network = make_network(*config_, device_);
  const std::string head = network->head_name();
  if (first_weights_)
    announce_weights(first_weights_->source(),
                     load_weights(first_weights_->source(), first_weights_->weights, *network, {head}));
  if (unet_) load_unet(*unet_, *network, networks().at(config_->model().network).capabilities.around);
  first_weights_.reset();
  unet_.reset();
  std::shared_ptr<Objective> objective = objectives().at(config_->model().objective).make(options);
  require_outputs(*objective, config_->model().objective, *network);
  if (!objective->needs_pixels()) network->classify_only();
  if (objective->needs_masks()) require_masks(facts_, config_->model().objective);
  objective = with_exchanged_backgrounds(std::move(objective), options, data_.train);
  NamedParameters parameters;
  for (const auto& entry : network->named_parameters()) parameters.emplace_back(entry.key(), entry.value());
  freeze(parameters, options, head);
  job_ = std::make_unique<TrainingJob>(
      TrainingJob{network, std::move(objective), make_optimizer(parameters, options, head),
                  std::make_shared<LearningRate>(options), data_.train});
  add_validation();
}

// What the objective needs of each split is checked before the first epoch.
void Training::add_validation() {
  std::vector<std::string> names;
  for (const auto& [name, split] : data_.validation) {
    names.push_back(name);
    if (split->size() == 0)
      fail(ErrorKind::data, facts_.source, ": the split ", split->name(), " has no samples to validate on");
    if (job_->objective->needs_masks() && split->layout().mask_channels == 0)
      fail(ErrorKind::data, facts_.source, ": the split ", split->name(), " has no masks, which --objective ",
           config_->model().objective, " needs");
  }
  if (names.empty()) return;
  job_->validation = data_.validation.front().split;
  job_->validation_name = names.front();
  job_->further_validation.assign(data_.validation.begin() + 1, data_.validation.end());
  if (job_->objective->needs_classes()) job_->scoring = validation_scoring(config_->options(), names);
}

void Training::refuse_other_data(const Checkpoint& checkpoint) const {
  const auto difference = data_difference(checkpoint, data_identity(*data_.set));
  if (difference.empty()) {
    if (!checkpoint.state.contains("data"))
      log::info("the checkpoint does not say what its data were: only their number and classes are compared");
  } else if (given_.flag("allow-other-data")) {
    log::warning(cat("--allow-other-data: the run continues with other data: ", difference));
  } else {
    fail(ErrorKind::usage, "--resume: the checkpoint was trained on other data than those of --data ",
         facts_.source, ": ", difference,
         "; resume on the same data, or allow others with --allow-other-data 1");
  }
}

TrainerOptions Training::trainer_options() const {
  TrainerOptions trainer = *config_->trainer();
  trainer.device = device_;
  trainer.order = order_;
  return trainer;
}

std::shared_ptr<ModelCheckpoint> Training::make_checkpoints() const {
  const auto& description = data_.set->description();
  nlohmann::json state{{"options", config_->options().portable_ini()},
                       {"class_names", description.class_names},
                       {"data", data_identity(*data_.set)},
                       {"task", task_name(description.task)}};
  CheckpointWriterOptions writing;
  if (const auto lock = start_.lock()) writing.before_write = [lock] { lock->check(); };
  return std::make_shared<ModelCheckpoint>(folder_, std::move(state), writing);
}

std::vector<std::shared_ptr<Callback>> Training::all_callbacks(
    const std::shared_ptr<ModelCheckpoint>& checkpoints) const {
  std::vector<std::shared_ptr<Callback>> callbacks{
      std::make_shared<FolderWatch>(start_.lock()),
      std::make_shared<ProgressBar>(given_.flag("quiet"))};
  if (is_trial()) return callbacks;
  for (auto& callback : make_callbacks({config_->options(), folder_}))
    callbacks.push_back(std::move(callback));
  if (images_) callbacks.push_back(images_);
  callbacks.push_back(checkpoints);
  return callbacks;
}

int Training::fit() {
  const auto checkpoints = make_checkpoints();
  const auto callbacks = all_callbacks(checkpoints);
  Trainer trainer(trainer_options(), communicator_, callbacks);
  announce_job();
  const FitOutcome outcome = trainer.fit(*job_, resumed_ ? &resumed_->checkpoint : nullptr);
  if (outcome == FitOutcome::interrupted) {
    log::info(cat("stopped in epoch ", trainer.position().epoch, ", batch ", trainer.position().batch,
                  "; --resume last resumes the run"));
    return exit_status_stopped;
  }
  if (resumed_ && trainer.position().global_step == position_of(resumed_->checkpoint).global_step)
    log::info(cat("there was nothing left to train: the run is finished (",
                  text_of(position_of(resumed_->checkpoint)),
                  "); a larger --max-epochs or --max-steps trains further"));
  if (is_trial()) log::info("dry run succeeded; nothing was written");
  if (communicator_.is_main() && !is_trial())
    export_best(*checkpoints, *config_, data_.set->description(), folder_, *start_.lock());
  for (const auto& callback : callbacks) callback->on_run_end(trainer);
  return 0;
}

void Training::announce_job() const {
  const Network& network = *job_->network;
  std::int64_t parameters = 0;
  for (const auto& parameter : network.parameters()) parameters += parameter.numel();
  log::info(cat(config_->model().network, " with ", parameters, " parameters, ", facts_.classes, " classes, ",
                facts_.samples, " training samples; objective ", config_->model().objective, "; ",
                communicator_.world_size(), " rank(s), backend ", communicator_.backend(), ", ",
                at::get_num_threads(), " thread(s) each"));
  const auto& layout = data_.train->layout();
  const std::int64_t rows = network.output_side(layout.height), columns = network.output_side(layout.width);
  if (job_->objective->needs_pixels() && (rows != layout.height || columns != layout.width))
    log::info(cat("the network has logits for the middle ", rows, "×", columns, " of ", layout.height, "×",
                  layout.width, " pixels: masks are cut to it"));
  if (const std::int64_t depth = given_.integer("model-summary"); depth > 0)
    log::info(cat("the network:\n", model_summary(network, static_cast<int>(depth))));
}

}  // namespace isnet
