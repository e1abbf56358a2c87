#include "trainer/trainer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "base/profile.h"
#include "trainer/batches.h"
#include "trainer/bn_statistics.h"
#include "trainer/debugging_aids.h"
#include "trainer/evaluation_loop.h"
#include "trainer/local_backward.h"
#include "trainer/signals.h"

namespace isnet {
namespace {

// Order of the batches that BN statistics are estimated from: that of no training epoch.
constexpr std::uint64_t statistics_epoch = 0xffffffffu;

// Of a batch without samples, whose shapes are those of one with some.
at::Tensor no_labels(const SampleLayout& layout, const at::Tensor& images) {
  if (layout.labels == LabelKind::single) return at::empty({0}, images.options().dtype(at::kLong));
  return layout.labels == LabelKind::multi ? at::empty({0, layout.label_classes}, images.options())
                                           : at::Tensor();
}

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
      guard_(options_.skip_bad_steps),
      scaler_(options_.scaler) {}

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
  FitOutcome outcome;
  try {
    call(&Callback::on_fit_start);
    if (!resume) sanity_check();
    outcome = run();
  } catch (const std::exception& error) {
    call(&Callback::on_exception, error);
    throw;
  }
  train_loader_.reset();
  return outcome;
}

FitOutcome Trainer::run() {
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
  return outcome;
}

void Trainer::sanity_check() {
  if (!validation_loader_ || options_.num_sanity_val_steps == 0) return;
  call(&Callback::on_sanity_check_start);
  const BatchLimit limit{static_cast<double>(options_.num_sanity_val_steps), false};
  const auto loader = make_loader(job_->validation, limit, false);
  call(&Callback::on_validation_model_eval);
  call(&Callback::on_validation_start);
  const Metrics metrics =
      evaluate(*job_->network, *job_->objective, *loader, {options_.device, options_.dtype}, communicator_);
  call(&Callback::on_validation_end, metrics);
  call(&Callback::on_validation_model_train);
  call(&Callback::on_sanity_check_end);
}

bool Trainer::run_epoch() {
  if (position_.batch == 0) epoch_sums_ = {};
  job_->objective->start_epoch(position_.epoch);
  call(&Callback::on_train_epoch_start);
  train_loader_->start(static_cast<std::uint64_t>(position_.epoch), position_.batch);
  while (!complete()) {
    const BatchOutcome outcome = run_batch();
    if (outcome == BatchOutcome::interrupted) return false;
    if (outcome == BatchOutcome::end_of_epoch) break;
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

Trainer::BatchOutcome Trainer::run_batch() {
  profile::Step measured;
  // Checkpoints are taken where no gradients are pending.
  if (position_.batch % accumulated_batches() == 0 && interrupted()) return BatchOutcome::interrupted;
  std::optional<HostBatch> host;
  {
    const profile::Scope scope(profile::Phase::data_wait);
    host = train_loader_->next();
  }
  if (!host) return BatchOutcome::end_of_epoch;
  call(&Callback::on_train_batch_start);
  train_batch(std::move(*host));
  measured.finish();
  return BatchOutcome::done;
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
  const std::int64_t window = accumulated_batches();
  if (!validation_loader_ || position_.batch >= batches_per_epoch() || position_.batch % window != 0)
    return false;
  return (position_.epoch + 1) % options_.check_val_every_n_epoch == 0 &&
         position_.batch / interval > (position_.batch - window) / interval;
}

void Trainer::train_batch(HostBatch&& host) {
  const std::int64_t size = host.size, counted = counted_samples(host);
  const std::int64_t window_start = position_.batch - position_.batch % accumulated_batches();
  const std::int64_t window = std::min(accumulated_batches(), batches_per_epoch() - window_start);
  const bool last_of_window = position_.batch + 1 == window_start + window;
  if (position_.batch == window_start) guard_.begin_step(buffers_);
  std::optional<DistributedDataParallel::NoSync> accumulate_only;
  if (!last_of_window) accumulate_only.emplace(*parallel_);
  {
    const profile::Scope scope(profile::Phase::communication);
    parallel_->prepare_forward();
  }

  StepRecord record;
  record.learning_rate = current_learning_rate();
  const double mean_weight = mean_class_weight(host);
  at::Tensor labels;
  Losses losses;
  if (size == 0 && !across_) {
    losses.total = zero_loss(parameters_);
  } else {
    profile::Scope scope(profile::Phase::transfer);
    Batch batch = to_batch(std::move(host), options_.device, options_.dtype);
    scope.next(profile::Phase::other);
    batch.mean_weight = mean_weight;
    batch.across = across_;
    if (size == 0) batch.labels = no_labels(job_->train->layout(), batch.images);
    losses = job_->objective->compute(*job_->network, batch);
    labels = batch.labels;
  }
  at::Tensor loss = losses.total;
  // One exchange for each batch: is the loss finite everywhere, how large is the global batch, how much
  // relevance is not finite, and was anybody asked to stop?
  std::vector<double> facts{size == 0 || std::isfinite(loss.item<double>()) ? 0.0 : 1.0,
                            static_cast<double>(size), static_cast<double>(losses.nonfinite_values),
                            static_cast<double>(losses.nonfinite_samples), asked_to_stop() ? 1.0 : 0.0};
  communicator_.all_reduce_sum(facts);
  stop_agreed_ = facts[4] > 0;
  count_nonfinite(facts[2], facts[3]);
  if (facts[0] > 0)
    guard_.found(cat("the loss is not finite on ", facts[0], " of ", communicator_.world_size(),
                     " rank(s) in epoch ", position_.epoch, ", batch ", position_.batch));
  if (!guard_.bad()) {
    if (size > 0) {
      record.sums.add(losses, labels, std::max<std::int64_t>(counted, 1));
      record.metrics = record.sums.local();
    }
    if (counted > 0) epoch_sums_.add(record.sums);
    losses = {};  // the graph is the backward pass's to end
    // The mean over the global batch, also where ranks have unequal shares.
    const double share = static_cast<double>(size) * communicator_.world_size() / facts[1];
    const double factor = (size == 0 ? 1.0 : share) / static_cast<double>(window);
    if (factor != 1.0) loss = loss * factor;
    loss = scaler_.scale(loss);
    backward(std::move(loss));
  }
  ++position_.batch;
  if (last_of_window) optimizer_step(record);
  call(&Callback::on_train_batch_end, record);
}

void Trainer::backward(at::Tensor loss) {
  call(&Callback::on_before_backward, loss);
  {
    profile::Scope scope(profile::Phase::backward);
    const LocalBackward local(loss);
    parallel_->backward(loss);
    if (local.watched()) {
      scope.next(profile::Phase::communication, local.gradients_there());
      scope.next(profile::Phase::backward, local.reduced());
    }
    loss.reset();
  }
  call(&Callback::on_after_backward);
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

// Whether the gradients are what an optimiser may learn from, clipped where that is asked for.
bool Trainer::learns_from_gradients(StepRecord& record) {
  if (guard_.bad()) return guard_.end_step();
  const std::string where = cat(" in epoch ", position_.epoch, ", batch ", position_.batch - 1);
  if (scaler_.unscale(parameters_)) {
    record.overflowed = scaler_.may_fall();
    if (record.overflowed) return false;  // no bad step: the scale was too large
    guard_.found(cat("the gradient is not finite", where, ", where nothing is scaled up any more"));
  } else if (options_.clipping.limit > 0 || guard_.tolerant()) {
    record.gradient_norm = clip_gradients(parameters_, options_.clipping);
    if (guard_.tolerant() && !std::isfinite(record.gradient_norm))
      guard_.found(cat("the gradient is not finite", where));
  }
  return guard_.end_step();
}

void Trainer::optimizer_step(StepRecord& record) {
  const profile::Scope scope(profile::Phase::optimizer);
  record.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  const bool learns = learns_from_gradients(record);
  if (learns) {
    call(&Callback::on_before_optimizer_step);
    job_->optimizer->set_learning_rate(record.learning_rate);
    job_->optimizer->step();
    ++position_.global_step;
    record.optimizer_stepped = true;
  }
  job_->optimizer->zero_grad();
  if (!scaler_.enabled()) return;
  if (learns || record.overflowed) scaler_.update();
  log("gradient_scale", scaler_.current());
}

void Trainer::validate() {
  parallel_->synchronise_buffers();
  const EvaluationPlace place{options_.device, options_.dtype};
  call(&Callback::on_validation_model_eval);
  if (statistics_loader_)
    recompute_bn_statistics(*job_->network, *statistics_loader_, options_.recompute_bn_statistics,
                            statistics_epoch, place, communicator_, across_);
  if (validation_loader_) {
    call(&Callback::on_validation_start);
    validation_metrics_ =
        evaluate(*job_->network, *job_->objective, *validation_loader_, place, communicator_);
  }
  if (validation_loader_) call(&Callback::on_validation_end, validation_metrics_);
  call(&Callback::on_validation_model_train);
}

bool Trainer::asked_to_stop() const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  const bool late = options_.max_time > 0 && elapsed.count() > options_.max_time;
  return StopSignals::received() != 0 || late;
}

// The exchange of the batch before has carried the question, but for the first one.
bool Trainer::interrupted() {
  if (!stop_agreed_) stop_agreed_ = communicator_.any(asked_to_stop());
  return *stop_agreed_;
}

}  // namespace isnet
