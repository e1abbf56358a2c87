// What a training needs before its first step: loaders, limits, and the refusal of what would fail later.
#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "data/block_order.h"
#include "trainer/monitor.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

// What --monitor may name besides losses and the like of train and val.
std::vector<std::string> further_monitors(const TrainingJob& job, std::vector<std::string> metrics) {
  const std::vector<std::string> scores = job.scoring ? job.scoring->names : std::vector<std::string>();
  std::vector<std::string> names;
  const auto add = [&](const std::string& split, const std::vector<std::string>& of_split) {
    for (const auto& name : of_split) names.push_back(cat(split, "_", name));
  };
  if (job.validation_name != "val") add(job.validation_name, metrics);
  add(job.validation_name, scores);
  metrics.insert(metrics.end(), scores.begin(), scores.end());
  for (const auto& further : job.further_validation) add(further.name, metrics);
  return names;
}

}  // namespace

std::unique_ptr<Loader> Trainer::make_loader(const std::shared_ptr<const SplitReader>& split,
                                             const BatchLimit& limit, bool training,
                                             const BatchShares& shares) const {
  SamplerOptions sampling;
  sampling.size = split->size();
  sampling.batch_size = shares.size;
  sampling.shares = shares.count;
  sampling.global_batch = run_batches_.samples();
  sampling.seed = options_.seed;
  sampling.world = communicator_.world_size();
  sampling.rank = communicator_.rank();
  sampling.shuffle = training && options_.shuffle;
  if (sampling.shuffle) sampling.order = options_.order;
  if (sampling.shuffle && options_.shuffle_block > 0)
    sampling.order = std::make_shared<BlockOrder>(sampling.size, options_.shuffle_block, options_.seed);
  sampling.last_batch = training ? options_.last_batch : LastBatch::short_;
  const Sampler sampler(sampling);
  LoaderOptions loading = options_.loading;
  loading.double_precision = options_.dtype == at::kDouble;
  loading.as_stored = options_.device.is_cuda();  // a quarter of the bytes to the device
  if (training) loading.augmentation = options_.augmentation;
  loading.limit = limit.of(sampler.steps_per_epoch());
  return std::make_unique<Loader>(split, sampler, loading);
}

std::int64_t Trainer::batches_per_epoch() const {
  return train_loader_->steps_per_epoch();
}

std::int64_t Trainer::steps_before(std::int64_t epoch) const {
  return options_.accumulate_grad_batches.steps_before(epoch, batches_per_epoch());
}

double Trainer::current_learning_rate() const {
  Progress progress;
  progress.step = position_.global_step;
  progress.epoch = position_.epoch;
  progress.steps_before = [this](std::int64_t epoch) { return steps_before(epoch); };
  if (total_steps_ < no_limit) {
    progress.total_steps = total_steps_;
    progress.total_epochs = options_.accumulate_grad_batches.epochs_of(total_steps_, batches_per_epoch());
  }
  return job_->learning_rate->at(progress);
}

// A run keeps its batches: other ranks than it began with share them out anew.
void Trainer::share_out(const TrainingJob& job, const Checkpoint* resume) {
  const std::int64_t world = communicator_.world_size();
  run_batches_ = resume ? stored_batches(*resume)
                        : RunBatches{world, options_.batch_size, options_.accumulate_grad_batches};
  const bool whole = options_.sync_batchnorm || job.objective->sums_over_ranks();
  const std::int64_t largest = options_.largest_share > 0 ? options_.largest_share : options_.batch_size;
  const auto shares = shares_for(run_batches_, world, largest, whole);
  if (!shares)
    fail(ErrorKind::usage, "--resume: a step of the run has ",
         run_batches_.samples() * run_batches_.common_batches(), " samples (", run_batches_.ranks,
         " rank(s) × --batch-size ", run_batches_.size, " × ", run_batches_.common_batches(),
         " batch(es)), which ", world, " ranks cannot divide equally: resume with a number of ranks that can: ",
         possible_worlds(run_batches_, whole));
  shares_ = *shares;
  evaluation_shares_ =
      *shares_for({run_batches_.ranks, run_batches_.size, Accumulation()}, 1, largest, false);
}

void Trainer::check(const TrainingJob& job, const Checkpoint* resume) {
  if (resume) refuse_other_data(*resume, job);
  share_out(job, resume);
  const std::int64_t batches =
      make_loader(job.train, options_.limit_train_batches, true, shares_)->steps_per_epoch();
  if (batches == 0)
    fail(ErrorKind::usage, "--limit-train-batches leaves no batch of the split ", job.train->name());
  if (resume) check_position_of(*resume, batches);
  if (const auto interval = options_.val_check_interval.of(batches);
      interval == 0 || interval < static_cast<std::int64_t>(options_.val_check_interval.value))
    fail(ErrorKind::usage, "--val-check-interval: an epoch has ", batches,
         " batches; allowed: as many at most, or a share of them that is at least one batch");
  if (options_.max_epochs < 0 && options_.max_steps < 0) job.learning_rate->at({});  // some need a known end
  // One black image through network and walk: what they cannot do is said now, not in the first epoch.
  const at::NoGradGuard no_grad;
  const bool training = job.network->is_training();
  job.network->eval();
  const auto& layout = job.train->layout();
  Batch batch;
  const auto real = at::dtype(options_.dtype).device(options_.device);
  batch.images = at::zeros({1, 3, layout.height, layout.width}, real);
  if (layout.mask_channels > 0) {
    batch.masks = at::ones({1, layout.mask_channels, layout.height, layout.width}, real);
    if (layout.masks_per_class) batch.masks = batch.masks.unsqueeze(2);
  }
  if (layout.labels != LabelKind::none)
    batch.labels = layout.labels == LabelKind::multi
                       ? at::zeros({1, layout.label_classes}, real)
                       : at::zeros({1}, at::dtype(at::kLong).device(options_.device));
  batch.ids = at::zeros({1}, at::kLong);
  const Losses losses = job.objective->compute(*job.network, batch);
  job.network->train(training);
  MetricSums sums;
  sums.add(losses, batch.labels, 1);
  std::vector<std::string> metrics;
  for (const auto& [name, value] : sums.local())
    if (name != "samples") metrics.push_back(name);
  const bool validates = job.validation && options_.limit_val_batches.value > 0;
  check_monitor(options_.monitor, metrics, validates && job.validation_name == "val",
                validates ? further_monitors(job, metrics) : std::vector<std::string>());
}

void Trainer::prepare(const Checkpoint* resume) {
  if (resume) refuse_other_data(*resume, *job_);
  share_out(*job_, resume);
  train_loader_ = make_loader(job_->train, options_.limit_train_batches, true, shares_);
  if (job_->validation && options_.limit_val_batches.value > 0) {
    validation_loader_ = make_loader(job_->validation, options_.limit_val_batches, false, evaluation_shares_);
    for (const auto& further : job_->further_validation)
      further_loaders_.push_back(
          make_loader(further.split, options_.limit_val_batches, false, evaluation_shares_));
  }
  if (options_.recompute_bn_statistics > 0) {
    const BatchLimit limit{static_cast<double>(options_.recompute_bn_statistics), false};
    statistics_loader_ =
        make_loader(job_->train, limit, true, options_.sync_batchnorm ? shares_ : evaluation_shares_);
  }
  total_steps_ = std::min(options_.max_epochs < 0 ? no_limit : steps_before(options_.max_epochs),
                          options_.max_steps < 0 ? no_limit : options_.max_steps);
  parallel_ = std::make_unique<DistributedDataParallel>(job_->network, communicator_, options_.ddp);
  if (options_.sync_batchnorm) across_ = across_ranks(communicator_);
  if (job_->objective->sums_over_ranks()) ranks_ = across_ranks(communicator_);
  parameters_ = job_->network->parameters();
  buffers_ = job_->network->buffers();
  if (resume) restore(*resume);
  job_->objective->start_epoch(position_.epoch);
  if (communicator_.is_main() && scaler_.enabled() && options_.device.is_cpu())
    log::warning("--precision 16-mixed: multiplying in float16 is slow on a CPU; use bf16-mixed there");
  if (communicator_.is_main() && validation_loader_ && options_.max_epochs > 0 &&
      !job_->objective->comparable(options_.max_epochs - 1))
    log::warning(
        "--max-epochs ends before --tune-cut or --heatmap-weight has given the loss its last form: no "
        "epoch is ranked by it, and the last one counts as the best");
}

}  // namespace isnet
