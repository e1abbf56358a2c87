#include "trainer/trainer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "trainer/batches.h"
#include "trainer/bn_statistics.h"
#include "trainer/debugging_aids.h"
#include "trainer/evaluation_loop.h"
#include "trainer/monitor.h"
#include "trainer/signals.h"

namespace isnet {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

// Order of the batches that BN statistics are estimated from: that of no training epoch.
constexpr std::uint64_t statistics_epoch = 0xffffffffu;

// All gradients zero, through every parameter: for a rank without a share in a short last batch.
at::Tensor zero_loss(const std::vector<at::Tensor>& parameters) {
  at::Tensor loss;
  for (const auto& parameter : parameters) {
    const at::Tensor nothing = parameter.sum() * 0;
    loss = loss.defined() ? loss + nothing : nothing;
  }
  return loss;
}

}  // namespace

Trainer::Trainer(TrainerOptions options, Communicator communicator,
                 std::vector<std::shared_ptr<Callback>> callbacks)
    : options_(std::move(options)),
      communicator_(std::move(communicator)),
      callbacks_(std::move(callbacks)),
      guard_(options_.skip_bad_steps) {}

std::unique_ptr<Loader> Trainer::make_loader(const std::shared_ptr<const SplitReader>& split,
                                             const BatchLimit& limit, bool training) const {
  SamplerOptions sampling;
  sampling.size = split->size();
  sampling.batch_size = options_.batch_size;
  sampling.seed = options_.seed;
  sampling.world = communicator_.world_size();
  sampling.rank = communicator_.rank();
  sampling.shuffle = training && options_.shuffle;
  sampling.last_batch = training ? options_.last_batch : LastBatch::short_;
  const Sampler sampler(sampling);
  LoaderOptions loading;
  loading.workers = options_.workers;
  loading.prefetch = options_.prefetch;
  loading.double_precision = options_.dtype == at::kDouble;
  loading.limit = limit.of(sampler.steps_per_epoch());
  return std::make_unique<Loader>(split, sampler, loading);
}

std::int64_t Trainer::batches_per_epoch() const {
  return train_loader_->steps_per_epoch();
}

std::int64_t Trainer::steps_per_epoch() const {
  return (batches_per_epoch() + options_.accumulate_grad_batches - 1) / options_.accumulate_grad_batches;
}

double Trainer::current_learning_rate() const {
  Progress progress;
  progress.step = position_.global_step;
  progress.epoch = position_.epoch;
  progress.steps_per_epoch = steps_per_epoch();
  if (total_steps_ < no_limit) {
    progress.total_steps = total_steps_;
    progress.total_epochs = (total_steps_ + progress.steps_per_epoch - 1) / progress.steps_per_epoch;
  }
  return job_->learning_rate->at(progress);
}

void Trainer::check(const TrainingJob& job, const Checkpoint* resume) const {
  if (resume) refuse_other_circumstances(*resume, job);
  const std::int64_t batches = make_loader(job.train, options_.limit_train_batches, true)->steps_per_epoch();
  if (batches == 0)
    fail(ErrorKind::usage, "--limit-train-batches leaves no batch of the split ", job.train->name());
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
  batch.labels = layout.labels == LabelKind::multi
                     ? at::zeros({1, layout.label_classes}, real)
                     : at::zeros({1}, at::dtype(at::kLong).device(options_.device));
  batch.ids = at::zeros({1}, at::kLong);
  const Losses losses = job.objective->compute(*job.network, batch);
  job.network->train(training);
  std::vector<std::string> metrics{"loss"};
  for (const auto& part : losses.parts) metrics.push_back(part.first);
  if (layout.labels != LabelKind::none) metrics.emplace_back("accuracy");
  check_monitor(options_.monitor, metrics, job.validation && options_.limit_val_batches.value > 0);
}

void Trainer::prepare(const Checkpoint* resume) {
  train_loader_ = make_loader(job_->train, options_.limit_train_batches, true);
  if (job_->validation && options_.limit_val_batches.value > 0)
    validation_loader_ = make_loader(job_->validation, options_.limit_val_batches, false);
  if (options_.recompute_bn_statistics > 0) {
    const BatchLimit limit{static_cast<double>(options_.recompute_bn_statistics), false};
    statistics_loader_ = make_loader(job_->train, limit, true);
  }
  total_steps_ = std::min(options_.max_epochs < 0 ? no_limit : steps_per_epoch() * options_.max_epochs,
                          options_.max_steps < 0 ? no_limit : options_.max_steps);
  parallel_ = std::make_unique<DistributedDataParallel>(job_->network, communicator_);
  parameters_ = job_->network->parameters();
  buffers_ = job_->network->buffers();
  if (resume) restore(*resume);
  job_->objective->start_epoch(position_.epoch);
  if (communicator_.is_main() && validation_loader_ && options_.max_epochs > 0 &&
      !job_->objective->comparable(options_.max_epochs - 1))
    log::warning(
        "--max-epochs ends before --tune-cut or --heatmap-weight has given the loss its last form: no "
        "epoch is ranked by it, and the last one counts as the best");
}

bool Trainer::complete() const {
  if (options_.max_epochs >= 0 && position_.epoch >= options_.max_epochs) return true;
  if (options_.max_steps >= 0 && position_.global_step >= options_.max_steps) return true;
  return should_stop_ && position_.epoch >= options_.min_epochs &&
         position_.global_step >= options_.min_steps;
}

FitOutcome Trainer::fit(const TrainingJob& job, const Checkpoint* resume) {
  job_ = &job;
  started_ = std::chrono::steady_clock::now();
  const StopSignals signals;
  const DebuggingAids aids(options_);
  job_->network->train();
  prepare(resume);
  call(&Callback::on_fit_start);
  if (!resume) sanity_check();
  call(&Callback::on_train_start);
  FitOutcome outcome = FitOutcome::finished;
  while (!complete()) {
    if (!run_epoch()) {
      outcome = FitOutcome::interrupted;
      call(&Callback::on_interrupted);
      break;
    }
  }
  if (outcome == FitOutcome::finished) {
    parallel_->synchronise_buffers();
    parallel_->verify_same_model();
    call(&Callback::on_train_end);
  }
  call(&Callback::on_fit_end);
  train_loader_.reset();
  return outcome;
}

void Trainer::sanity_check() {
  if (!validation_loader_ || options_.num_sanity_val_steps == 0) return;
  call(&Callback::on_sanity_check_start);
  const BatchLimit limit{static_cast<double>(options_.num_sanity_val_steps), false};
  const auto loader = make_loader(job_->validation, limit, false);
  evaluate(*job_->network, *job_->objective, *loader, {options_.device, options_.dtype}, communicator_);
  call(&Callback::on_sanity_check_end);
}

bool Trainer::run_epoch() {
  if (position_.batch == 0) epoch_sums_ = {};
  job_->objective->start_epoch(position_.epoch);
  call(&Callback::on_train_epoch_start);
  train_loader_->start(static_cast<std::uint64_t>(position_.epoch), position_.batch);
  while (!complete()) {
    // Checkpoints are taken where no gradients are pending.
    if (position_.batch % options_.accumulate_grad_batches == 0 && interrupted()) return false;
    auto host = train_loader_->next();
    if (!host) break;
    call(&Callback::on_train_batch_start);
    train_batch(std::move(*host));
    if (guard_.exhausted()) {
      call(&Callback::on_interrupted);  // parameters and buffers are those of the last good step
      fail(ErrorKind::runtime, guard_.last_cause(), ", after ", guard_.in_a_row() - 1,
           " steps before it that were left out: training stops; the last good state is saved; resume with a "
           "smaller "
           "--lr or with --gradient-clip-val");
    }
    if (validation_is_due()) {
      validate();
      call(&Callback::on_validated, validation_metrics_);
    }
  }
  finish_objective();
  const bool last = position_.epoch + 1 == options_.max_epochs || complete();
  const bool validates = (position_.epoch + 1) % options_.check_val_every_n_epoch == 0 || last;
  if (validates) validate();
  Metrics metrics = epoch_sums_.reduced(communicator_);
  for (const auto& setting : job_->objective->settings()) metrics.push_back(setting);
  if (nonfinite_values_ > 0) {
    metrics.emplace_back("nonfinite_relevance", nonfinite_values_);
    metrics.emplace_back("nonfinite_samples", nonfinite_samples_);
  }
  // What callbacks save now is the run at the beginning of the next epoch.
  ++position_.epoch;
  position_.batch = 0;
  epoch_sums_ = {};
  nonfinite_values_ = nonfinite_samples_ = 0;
  if (validates && validation_loader_) call(&Callback::on_validated, validation_metrics_);
  call(&Callback::on_train_epoch_end, metrics);
  return true;
}

void Trainer::finish_objective() {
  const auto gathered = job_->objective->gathered();
  if (!gathered.empty()) job_->objective->finish_epoch(by_rank(gathered));
}

// Said once an epoch; metrics.csv has the epoch's numbers.
void Trainer::count_nonfinite(double values, double samples) {
  if (values > 0 && nonfinite_values_ == 0 && communicator_.is_main())
    log::warning(cat("epoch ", position_.epoch, ", batch ", position_.batch, ": ", values,
                     " relevance value(s) of ", samples,
                     " sample(s) are not finite; metrics.csv counts them, this message comes once an epoch "
                     "(docs/lrp.md, Losses)"));
  nonfinite_values_ += values;
  nonfinite_samples_ += samples;
}

// Within an epoch, between optimiser steps: at the end of the window in which an interval ends.
bool Trainer::validation_is_due() const {
  const std::int64_t interval = options_.val_check_interval.of(batches_per_epoch());
  const std::int64_t window = options_.accumulate_grad_batches;
  if (!validation_loader_ || position_.batch >= batches_per_epoch() || position_.batch % window != 0)
    return false;
  return (position_.epoch + 1) % options_.check_val_every_n_epoch == 0 &&
         position_.batch / interval > (position_.batch - window) / interval;
}

void Trainer::train_batch(HostBatch&& host) {
  const std::int64_t size = host.size, counted = counted_samples(host);
  const bool last_of_window = (position_.batch + 1) % options_.accumulate_grad_batches == 0 ||
                              position_.batch + 1 == batches_per_epoch();
  if (position_.batch % options_.accumulate_grad_batches == 0) guard_.begin_step(buffers_);
  std::optional<DistributedDataParallel::NoSync> accumulate_only;
  if (!last_of_window) accumulate_only.emplace(*parallel_);
  parallel_->prepare_forward();

  StepRecord record;
  record.learning_rate = current_learning_rate();
  const double mean_weight = mean_class_weight(host);
  at::Tensor labels;
  Losses losses;
  if (size == 0) {
    losses.total = zero_loss(parameters_);
  } else {
    Batch batch = to_batch(std::move(host), options_.device, options_.dtype);
    batch.mean_weight = mean_weight;
    losses = job_->objective->compute(*job_->network, batch);
    labels = batch.labels;
  }
  at::Tensor loss = losses.total;
  // One exchange for each step: is the loss finite everywhere, how large is the global batch, and how much
  // relevance is not finite?
  std::vector<double> facts{loss.isfinite().item<bool>() ? 0.0 : 1.0, static_cast<double>(size),
                            static_cast<double>(losses.nonfinite_values),
                            static_cast<double>(losses.nonfinite_samples)};
  communicator_.all_reduce_sum(facts);
  count_nonfinite(facts[2], facts[3]);
  if (facts[0] > 0)
    guard_.found(cat("the loss is not finite on ", facts[0], " of ", communicator_.world_size(),
                     " rank(s) in epoch ", position_.epoch, ", batch ", position_.batch));
  if (!guard_.bad()) {
    if (size > 0) {
      record.sums.add(losses, labels, std::max<std::int64_t>(counted, 1));
      record.metrics = record.sums.local();
    }
    if (counted > 0) epoch_sums_.add(losses, labels, counted);
    // The mean over the global batch, also where ranks have unequal shares.
    const double share = static_cast<double>(size) * communicator_.world_size() / facts[1];
    const std::int64_t window_start = position_.batch - position_.batch % options_.accumulate_grad_batches;
    const std::int64_t window =
        std::min(options_.accumulate_grad_batches, batches_per_epoch() - window_start);
    const double factor = (size == 0 ? 1.0 : share) / static_cast<double>(window);
    if (factor != 1.0) loss = loss * factor;
    parallel_->backward(loss);
    call(&Callback::on_after_backward);
  }
  ++position_.batch;
  if (last_of_window) optimizer_step(record);
  call(&Callback::on_train_batch_end, record);
}

// Of the global batch; collective where there are class weights.
double Trainer::mean_class_weight(const HostBatch& host) const {
  const auto weights = job_->objective->class_weights();
  if (weights.empty() || job_->train->layout().labels != LabelKind::single) return 0;
  std::vector<double> sums{0, static_cast<double>(host.size)};
  for (std::int64_t i = 0; i < host.size; ++i) {
    const auto label = static_cast<std::size_t>(host.labels[static_cast<std::size_t>(i)]);
    if (label < weights.size()) sums[0] += weights[label];
  }
  communicator_.all_reduce_sum(sums);
  return sums[0] / sums[1];
}

void Trainer::optimizer_step(StepRecord& record) {
  record.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  if (!guard_.bad() && (options_.clipping.limit > 0 || guard_.tolerant())) {
    record.gradient_norm = clip_gradients(parameters_, options_.clipping);
    if (guard_.tolerant() && !std::isfinite(record.gradient_norm))
      guard_.found(
          cat("the gradient is not finite in epoch ", position_.epoch, ", batch ", position_.batch - 1));
  }
  if (!guard_.end_step()) {
    job_->optimizer->zero_grad();
    return;
  }
  call(&Callback::on_before_optimizer_step);
  job_->optimizer->set_learning_rate(record.learning_rate);
  job_->optimizer->step();
  job_->optimizer->zero_grad();
  ++position_.global_step;
  record.optimizer_stepped = true;
}

void Trainer::validate() {
  parallel_->synchronise_buffers();
  const EvaluationPlace place{options_.device, options_.dtype};
  call(&Callback::on_validation_model_eval);
  if (statistics_loader_)
    recompute_bn_statistics(*job_->network, *statistics_loader_, options_.recompute_bn_statistics,
                            statistics_epoch, place, communicator_);
  if (validation_loader_) {
    call(&Callback::on_validation_start);
    validation_metrics_ =
        evaluate(*job_->network, *job_->objective, *validation_loader_, place, communicator_);
  }
  call(&Callback::on_validation_model_train);
  if (validation_loader_) call(&Callback::on_validation_end, validation_metrics_);
}

bool Trainer::interrupted() {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  const bool late = options_.max_time > 0 && elapsed.count() > options_.max_time;
  return communicator_.any(StopSignals::received() != 0 || late);
}

}  // namespace isnet
