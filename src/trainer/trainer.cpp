#include "trainer/trainer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "model/weights.h"
#include "trainer/batches.h"
#include "trainer/bn_statistics.h"
#include "trainer/evaluation_loop.h"
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

// A run goes on with the data and the ranks that it began with, or its position means nothing.
void refuse_other_circumstances(const Checkpoint& checkpoint, const SplitReader& train,
                                const Communicator& communicator) {
  const auto number = [&](const char* name) {
    const auto found = checkpoint.state.find(name);
    if (found == checkpoint.state.end() || !found->is_number_integer())
      fail(ErrorKind::checkpoint, "the checkpoint lacks '", name, "'");
    return found->get<std::int64_t>();
  };
  if (number("train_samples") != train.size())
    fail(ErrorKind::usage, "--resume: the checkpoint was trained on ", number("train_samples"),
         " samples, --data has ", train.size(), ": resume on the same data");
  if (number("world_size") != communicator.world_size())
    fail(ErrorKind::usage, "--resume: the checkpoint is one of ", number("world_size"),
         " rank(s), this run has ", communicator.world_size(), ": resume with as many ranks");
}

}  // namespace

Trainer::Trainer(TrainerOptions options, Communicator communicator,
                 std::vector<std::shared_ptr<Callback>> callbacks)
    : options_(std::move(options)),
      communicator_(std::move(communicator)),
      callbacks_(std::move(callbacks)) {}

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

double Trainer::current_learning_rate() const {
  return job_->learning_rate.at({position_.global_step, total_steps_, position_.epoch});
}

void Trainer::check(const TrainingJob& job, const Checkpoint* resume) const {
  if (resume) refuse_other_circumstances(*resume, *job.train, communicator_);
  if (make_loader(job.train, options_.limit_train_batches, true)->steps_per_epoch() == 0)
    fail(ErrorKind::usage, "--limit-train-batches leaves no batch of the split ", job.train->name());
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
  job.objective->compute(*job.network, batch);
  job.network->train(training);
}

void Trainer::prepare(const Checkpoint* resume) {
  train_loader_ = make_loader(job_->train, options_.limit_train_batches, true);
  if (job_->validation && options_.limit_val_batches.value > 0)
    validation_loader_ = make_loader(job_->validation, options_.limit_val_batches, false);
  if (options_.recompute_bn_statistics > 0) {
    const BatchLimit limit{static_cast<double>(options_.recompute_bn_statistics), false};
    statistics_loader_ = make_loader(job_->train, limit, true);
  }
  const std::int64_t steps_per_epoch =
      (batches_per_epoch() + options_.accumulate_grad_batches - 1) / options_.accumulate_grad_batches;
  total_steps_ =
      std::min(steps_per_epoch * options_.max_epochs, options_.max_steps < 0 ? no_limit : options_.max_steps);
  parallel_ = std::make_unique<DistributedDataParallel>(job_->network, communicator_);
  parameters_ = job_->network->parameters();
  if (resume) restore(*resume);
}

bool Trainer::complete() const {
  return should_stop_ || position_.epoch >= options_.max_epochs ||
         (options_.max_steps >= 0 && position_.global_step >= options_.max_steps);
}

FitOutcome Trainer::fit(const TrainingJob& job, const Checkpoint* resume) {
  job_ = &job;
  started_ = std::chrono::steady_clock::now();
  const StopSignals signals;
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
  call(&Callback::on_train_epoch_start);
  train_loader_->start(static_cast<std::uint64_t>(position_.epoch), position_.batch);
  while (!complete()) {
    // Checkpoints are taken where no gradients are pending.
    if (position_.batch % options_.accumulate_grad_batches == 0 && interrupted()) return false;
    auto host = train_loader_->next();
    if (!host) break;
    call(&Callback::on_train_batch_start);
    train_batch(std::move(*host));
  }
  const bool last = position_.epoch + 1 >= options_.max_epochs || complete();
  if ((position_.epoch + 1) % options_.check_val_every_n_epoch == 0 || last) validate();
  const Metrics metrics = epoch_sums_.reduced(communicator_);
  // What callbacks save now is the run at the beginning of the next epoch.
  ++position_.epoch;
  position_.batch = 0;
  epoch_sums_ = {};
  call(&Callback::on_train_epoch_end, metrics);
  return true;
}

void Trainer::train_batch(HostBatch&& host) {
  const std::int64_t size = host.size, counted = counted_samples(host);
  const bool last_of_window = (position_.batch + 1) % options_.accumulate_grad_batches == 0 ||
                              position_.batch + 1 == batches_per_epoch();
  std::optional<DistributedDataParallel::NoSync> accumulate_only;
  if (!last_of_window) accumulate_only.emplace(*parallel_);
  parallel_->prepare_forward();

  StepRecord record;
  record.learning_rate = current_learning_rate();
  at::Tensor loss;
  if (size == 0) {
    loss = zero_loss(parameters_);
  } else {
    const Batch batch = to_batch(std::move(host), options_.device, options_.dtype);
    const Losses losses = job_->objective->compute(*job_->network, batch);
    MetricSums sums;
    sums.add(losses, batch.labels, std::max<std::int64_t>(counted, 1));
    record.metrics = sums.local();
    if (counted > 0) epoch_sums_.add(losses, batch.labels, counted);
    loss = losses.total;
  }
  // One exchange for each step: is the loss finite everywhere, and how large is the global batch?
  std::vector<double> facts{loss.isfinite().item<bool>() ? 0.0 : 1.0, static_cast<double>(size)};
  communicator_.all_reduce_sum(facts);
  if (facts[0] > 0)
    fail(ErrorKind::runtime, "the loss is not finite on ", facts[0], " of ", communicator_.world_size(),
         " rank(s) in epoch ", position_.epoch, ", batch ", position_.batch,
         ": training stops before anything is spoilt; resume from the last checkpoint with a smaller --lr or "
         "with "
         "--gradient-clip-val");
  // The mean over the global batch, also where ranks have unequal shares.
  const double share = static_cast<double>(size) * communicator_.world_size() / facts[1];
  const std::int64_t window_start = position_.batch - position_.batch % options_.accumulate_grad_batches;
  const std::int64_t window = std::min(options_.accumulate_grad_batches, batches_per_epoch() - window_start);
  const double factor = (size == 0 ? 1.0 : share) / static_cast<double>(window);
  if (factor != 1.0) loss = loss * factor;
  parallel_->backward(loss);
  call(&Callback::on_after_backward);
  ++position_.batch;
  if (last_of_window) optimizer_step(record);
  call(&Callback::on_train_batch_end, record);
}

void Trainer::optimizer_step(StepRecord& record) {
  record.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  if (options_.clipping.limit > 0) record.gradient_norm = clip_gradients(parameters_, options_.clipping);
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
  if (statistics_loader_)
    recompute_bn_statistics(*job_->network, *statistics_loader_, options_.recompute_bn_statistics,
                            statistics_epoch, place, communicator_);
  if (!validation_loader_) return;
  call(&Callback::on_validation_start);
  validation_metrics_ = evaluate(*job_->network, *job_->objective, *validation_loader_, place, communicator_);
  call(&Callback::on_validation_end, validation_metrics_);
}

bool Trainer::interrupted() {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  const bool late = options_.max_time > 0 && elapsed.count() > options_.max_time;
  return communicator_.any(StopSignals::received() != 0 || late);
}

Checkpoint Trainer::checkpoint() const {
  Checkpoint checkpoint;
  for (const auto& [name, tensor] : named_tensors(*job_->network))
    checkpoint.tensors["model." + name] = tensor;
  for (auto& [name, tensor] : job_->optimizer->state()) checkpoint.tensors["optimizer." + name] = tensor;
  // Each rank's sums, a row for each: added up at once at the epoch's end, in the order of an uninterrupted
  // run.
  const auto& own = epoch_sums_.sums();
  const auto columns = static_cast<std::size_t>(communicator_.maximum(static_cast<std::int64_t>(own.size())));
  std::vector<double> sums(columns * static_cast<std::size_t>(communicator_.world_size()), 0.0);
  std::copy(own.begin(), own.end(),
            sums.begin() + static_cast<std::ptrdiff_t>(columns) * communicator_.rank());
  communicator_.all_reduce_sum(sums);
  checkpoint.tensors["loop.metric_sums"] =
      at::tensor(sums, at::dtype(at::kDouble))
          .view({communicator_.world_size(), static_cast<std::int64_t>(columns)});
  checkpoint.state["loop"] = {{"epoch", position_.epoch},
                              {"batch", position_.batch},
                              {"global_step", position_.global_step},
                              {"metric_names", epoch_sums_.names()}};
  checkpoint.state["bucket_plan"] = parallel_->bucket_plan();
  checkpoint.state["world_size"] = communicator_.world_size();
  checkpoint.state["train_samples"] = job_->train->size();
  for (const auto& [name, value] : validation_metrics_) checkpoint.state["validation_metrics"][name] = value;
  for (const auto& callback : callbacks_) callback->on_save_checkpoint(*this, checkpoint);
  return checkpoint;
}

void Trainer::restore(const Checkpoint& checkpoint) {
  NamedTensors model;
  std::map<std::string, at::Tensor> optimizer;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.rfind("model.", 0) == 0) model[name.substr(6)] = tensor;
    if (name.rfind("optimizer.", 0) == 0) optimizer[name.substr(10)] = tensor;
  }
  refuse_other_circumstances(checkpoint, *job_->train, communicator_);
  load_weights("the checkpoint", model, *job_->network);
  job_->optimizer->load_state(optimizer);
  try {
    const auto& loop = checkpoint.state.at("loop");
    position_.epoch = loop.at("epoch");
    position_.batch = loop.at("batch");
    position_.global_step = loop.at("global_step");
    const at::Tensor sums =
        checkpoint.tensors.at("loop.metric_sums")[communicator_.rank()].to(at::kDouble).contiguous();
    epoch_sums_.set(loop.at("metric_names"),
                    {sums.data_ptr<double>(), sums.data_ptr<double>() + sums.numel()});
    parallel_->restore_bucket_plan(checkpoint.state.at("bucket_plan").get<BucketPlan>());
    if (checkpoint.state.contains("validation_metrics"))
      for (const auto& [name, value] : checkpoint.state.at("validation_metrics").items())
        validation_metrics_.emplace_back(
            name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  } catch (const std::exception& e) {
    if (dynamic_cast<const Error*>(&e)) throw;
    fail(ErrorKind::checkpoint, "the checkpoint lacks part of the loop's state: ", e.what());
  }
  for (const auto& callback : callbacks_) callback->on_load_checkpoint(*this, checkpoint);
}

}  // namespace isnet
