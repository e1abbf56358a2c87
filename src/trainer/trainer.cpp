#include "trainer/trainer.h"

#include <ATen/ATen.h>

#include "base/activity.h"
#include "base/error.h"
#include "base/log.h"
#include "base/profile.h"
#include "trainer/batches.h"
#include "trainer/bn_statistics.h"
#include "trainer/debugging_aids.h"
#include "trainer/evaluation_loop.h"
#include "trainer/signals.h"

namespace isnet {
namespace {

// Order of the batches that BN statistics are estimated from: that of no training epoch.
constexpr std::uint64_t statistics_epoch = 0xffffffffu;

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
  const StopSignals signals(communicator_.is_main());
  const DebuggingAids aids(options_);
  job_->network->train();
  prepare(resume);
  FitOutcome outcome;
  try {
    call(&Callback::on_fit_start);
    if (!resume) sanity_check();
    outcome = run();
  } catch (const std::exception& error) {
    World::report(error);
    call(&Callback::on_exception, error);
    throw;
  }
  train_loader_.reset();
  return outcome;
}

FitOutcome Trainer::run() {
  const activity::Stage stage("training");
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
  const EvaluationPlace place{options_.device, options_.dtype};
  const auto try_split = [&](const std::shared_ptr<const SplitReader>& split) {
    const auto loader = make_loader(split, limit, false, evaluation_shares_);
    return evaluate(*job_->network, *job_->objective, *loader, place, communicator_);
  };
  call(&Callback::on_validation_model_eval);
  call(&Callback::on_validation_start);
  const Metrics metrics = try_split(job_->validation);
  for (const auto& further : job_->further_validation) try_split(further.split);
  call(&Callback::on_validation_end, metrics);
  call(&Callback::on_validation_model_train);
  call(&Callback::on_sanity_check_end);
}

bool Trainer::run_epoch() {
  if (position_.batch == 0) epoch_sums_ = {};
  job_->objective->start_epoch(position_.epoch);
  call(&Callback::on_train_epoch_start);
  pass_ = position_.batch >= batches_per_epoch()
              ? train_loader_->passes_per_epoch()
              : position_.batch * shares_.count / communicator_.world_size();
  train_loader_->start(static_cast<std::uint64_t>(position_.epoch), pass_);
  validate_within_epoch();  // a checkpoint of the step before it may be all that was left
  while (!complete()) {
    const BatchOutcome outcome = run_batch();
    if (outcome == BatchOutcome::interrupted) return false;
    if (outcome == BatchOutcome::end_of_epoch) break;
    end_if_exhausted();
    validate_within_epoch();
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
  position_.batch = position_.validated = 0;
  epoch_sums_ = {};
  nonfinite_values_ = nonfinite_samples_ = 0;
  if (validates && validation_loader_) call(&Callback::on_validated, validation_metrics_);
  call(&Callback::on_train_epoch_end, metrics);
  return true;
}

Trainer::BatchOutcome Trainer::run_batch() {
  profile::Step measured;
  activity::at(position_.epoch, position_.batch);
  if (interrupted()) {
    if (step_is_pending()) undo_step();
    return BatchOutcome::interrupted;
  }
  std::optional<HostBatch> host;
  {
    const profile::Scope scope(profile::Phase::data_wait);
    host = train_loader_->next();
  }
  if (!host) return BatchOutcome::end_of_epoch;
  call(&Callback::on_train_batch_start);
  train_pass(std::move(*host));
  measured.finish();
  return BatchOutcome::done;
}

void Trainer::finish_objective() {
  const auto gathered = job_->objective->gathered();
  if (gathered.empty()) return;
  job_->objective->finish_epoch(gathered_by_rank(gathered));
  inherited_.clear();
}

// Within an epoch, between optimiser steps: at the end of the window in which an interval ends.
bool Trainer::validation_is_due() const {
  const std::int64_t interval = options_.val_check_interval.of(batches_per_epoch());
  const std::int64_t window = accumulated_batches();
  if (!validation_loader_ || position_.batch >= batches_per_epoch() || pass_ % passes_per_step() != 0)
    return false;
  return (position_.epoch + 1) % options_.check_val_every_n_epoch == 0 &&
         position_.batch / interval > (position_.batch - window) / interval;
}

// Once for each step in which an interval ends.
void Trainer::validate_within_epoch() {
  if (position_.validated == position_.batch || !validation_is_due()) return;
  validate();
  position_.validated = position_.batch;
  call(&Callback::on_validated, validation_metrics_);
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
    validation_metrics_ = metrics_of(*validation_loader_);
    job_->objective->validated(validation_metrics_);
    for (std::size_t i = 0; i < further_loaders_.size(); ++i)
      for (const auto& [name, value] : metrics_of(*further_loaders_[i]))
        validation_metrics_.emplace_back(metric_of_split(job_->further_validation[i].name, name), value);
  }
  if (validation_loader_) call(&Callback::on_validation_end, validation_metrics_);
  call(&Callback::on_validation_model_train);
}

Metrics Trainer::metrics_of(Loader& loader) {
  std::unique_ptr<SplitScorer> scorer;
  if (job_->scoring) scorer = job_->scoring->make(loader.split());
  const auto observe = [&](const Batch& batch, const Losses& losses, std::int64_t samples) {
    if (scorer) scorer->add(batch, losses, samples);
  };
  Metrics metrics = evaluate(*job_->network, *job_->objective, loader, {options_.device, options_.dtype},
                             communicator_, observe);
  if (scorer)
    for (auto& score : scorer->finish(communicator_)) metrics.push_back(std::move(score));
  return metrics;
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
