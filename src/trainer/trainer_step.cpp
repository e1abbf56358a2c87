// One pass of all ranks, and the optimiser step that a window of passes ends in.
#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/profile.h"
#include "trainer/batches.h"
#include "trainer/local_backward.h"
#include "trainer/signals.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

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

// Where in the batch something is not finite: rows of the logits, else all of it.
std::vector<std::int64_t> suspects(const Losses& losses, const std::vector<std::int64_t>& ids) {
  std::vector<std::int64_t> found;
  if (losses.logits.defined() && losses.logits.size(0) == static_cast<std::int64_t>(ids.size())) {
    const at::Tensor finite = losses.logits.detach().isfinite().flatten(1).all(1).cpu();
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (!finite[static_cast<std::int64_t>(i)].item<bool>()) found.push_back(ids[i]);
  }
  return found.empty() ? ids : found;
}

}  // namespace

std::int64_t Trainer::passes_per_step() const {
  return accumulated_batches() * shares_.count / communicator_.world_size();
}

bool Trainer::step_is_pending() const {
  return pass_ % passes_per_step() != 0 && pass_ < train_loader_->passes_per_epoch();
}

void Trainer::begin_step() {
  guard_.begin_step(buffers_);
  step_start_ = {pass_,
                 position_.batch,
                 epoch_sums_,
                 nonfinite_values_,
                 nonfinite_samples_,
                 job_->objective->gathered()};
}

// What the passes of a step have left behind goes: the position is that of the optimiser step before. Draws
// depend on the samples alone, so that the same passes come again.
void Trainer::undo_step() {
  guard_.abandon_step();
  job_->optimizer->zero_grad();
  pass_ = step_start_.pass;
  position_.batch = step_start_.batch;
  epoch_sums_ = step_start_.sums;
  nonfinite_values_ = step_start_.nonfinite_values;
  nonfinite_samples_ = step_start_.nonfinite_samples;
  if (!step_start_.gathered.empty()) job_->objective->set_gathered(step_start_.gathered);
}

void Trainer::end_if_exhausted() {
  if (!guard_.exhausted()) return;
  undo_step();
  call(&Callback::on_interrupted);  // parameters and buffers are those of the last good step
  const std::int64_t before = guard_.in_a_row() - 1;
  fail(ErrorKind::runtime, guard_.last_cause(),
       before > 0 ? cat(", after ", before, " skipped steps before it") : std::string(),
       ": training stops; the last good state is saved; resume with a smaller --lr or with "
       "--gradient-clip-val",
       before > 0 ? "" : ", or skip some with --skip-bad-steps");
}

// Collective: these samples of each rank by their ids, of many only the first.
std::string Trainer::samples_by_rank(const std::vector<std::int64_t>& own) const {
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, own.size()); ++i)
    text += cat(i > 0 ? ", " : "", job_->train->id(own[i]));
  if (own.size() > shown) text += cat(" and ", own.size() - shown, " more");
  const auto all = communicator_.all_gather(text);
  std::string result;
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    if (!all[rank].empty()) result += cat(result.empty() ? "" : "; ", "rank ", rank, ": ", all[rank]);
  return result;
}

std::vector<std::int64_t> Trainer::samples_of_step() const {
  std::vector<std::int64_t> ids;
  for (std::int64_t pass = step_start_.pass; pass < pass_; ++pass) {
    const BatchPlan plan = train_loader_->sampler().plan(static_cast<std::uint64_t>(position_.epoch), pass);
    if (plan.step < batches_per_epoch()) ids.insert(ids.end(), plan.ids.begin(), plan.ids.end());
  }
  return ids;
}

// Said once an epoch; metrics.csv has the epoch's numbers. `facts`: of all ranks, values and samples.
void Trainer::count_nonfinite(double values, double samples, const Losses& losses,
                              const std::vector<std::int64_t>& ids) {
  if (values > 0 && nonfinite_values_ == 0) {
    std::vector<std::int64_t> own;
    for (std::int64_t i = 0; losses.nonfinite_rows.defined() && i < losses.nonfinite_rows.numel(); ++i)
      own.push_back(ids[static_cast<std::size_t>(losses.nonfinite_rows[i].item<std::int64_t>())]);
    const std::string names = samples_by_rank(own);
    if (communicator_.is_main())
      log::warning(cat("epoch ", position_.epoch, ", batch ", position_.batch, ": ", values,
                       " relevance value(s) of ", samples, " sample(s) are not finite (", names,
                       "); metrics.csv counts them, this message comes once an epoch (docs/lrp.md, Losses)"));
  }
  nonfinite_values_ += values;
  nonfinite_samples_ += samples;
}

void Trainer::note_nonfinite_loss(double ranks, bool here, const Losses& losses,
                                  const std::vector<std::int64_t>& ids) {
  const std::string names = samples_by_rank(here ? suspects(losses, ids) : std::vector<std::int64_t>{});
  if (!guard_.bad()) bad_step_ = {{}, pass_, pass_ + 1};
  guard_.found(cat("the loss is not finite on ", ranks, " of ", communicator_.world_size(),
                   " rank(s) in epoch ", position_.epoch, ", batch ", position_.batch, " (", names, ")"));
}

Losses Trainer::losses_of(HostBatch&& host, at::Tensor& labels) {
  Losses losses;
  const double mean_weight = mean_class_weight(host);
  const bool empty = host.size == 0;
  if (empty && !across_ && !ranks_) {
    losses.total = zero_loss(parameters_);
    return losses;
  }
  profile::Scope scope(profile::Phase::transfer);
  Batch batch = to_batch(std::move(host), options_.device, options_.dtype);
  scope.next(profile::Phase::other);
  batch.mean_weight = mean_weight;
  batch.across = across_;
  batch.ranks = ranks_;
  if (empty) batch.labels = no_labels(job_->train->layout(), batch.images);
  losses = job_->objective->compute(*job_->network, batch);
  if (!losses.total.defined()) losses.total = zero_loss(parameters_);
  labels = batch.labels;
  return losses;
}

void Trainer::train_pass(HostBatch&& host) {
  const std::int64_t world = communicator_.world_size();
  const BatchPlan plan{host.ids, host.counted, host.step, host.share};
  if (pass_ % passes_per_step() == 0) begin_step();
  const bool last_of_step =
      (pass_ + 1) % passes_per_step() == 0 || pass_ + 1 == train_loader_->passes_per_epoch();
  std::optional<DistributedDataParallel::NoSync> accumulate_only;
  if (!last_of_step) accumulate_only.emplace(*parallel_);
  // Running statistics are those of the first share, as on the first of the ranks that the run began with.
  const bool of_another_rank = plan.share != 0 && shares_.count != world;
  if (of_another_rank) own_buffers_.keep(buffers_);
  {
    const profile::Scope scope(profile::Phase::communication);
    parallel_->prepare_forward();
  }
  StepRecord record;
  record.learning_rate = current_learning_rate();
  at::Tensor labels;
  Losses losses = losses_of(std::move(host), labels);
  // One exchange for each pass: is the loss finite everywhere, how much relevance is not, and was anybody
  // asked to stop?
  const bool bad = !plan.ids.empty() && !std::isfinite(value_of(losses.total));
  std::vector<double> facts{bad ? 1.0 : 0.0, static_cast<double>(losses.nonfinite_values),
                            static_cast<double>(losses.nonfinite_samples), asked_to_stop() ? 1.0 : 0.0};
  communicator_.all_reduce_sum(facts);
  stop_agreed_ = facts[3] > 0;
  count_nonfinite(facts[1], facts[2], losses, plan.ids);
  if (facts[0] > 0) note_nonfinite_loss(facts[0], bad, losses, plan.ids);
  if (!guard_.bad()) learn_from(plan, std::move(losses), labels, record);
  if (of_another_rank) own_buffers_.put_back();
  ++pass_;
  position_.batch = std::min(batches_per_epoch(), pass_ * world / shares_.count);
  if (last_of_step) optimizer_step(record);
  call(&Callback::on_train_batch_end, record);
}

void Trainer::learn_from(const BatchPlan& plan, Losses&& losses, const at::Tensor& labels,
                         StepRecord& record) {
  const auto size = static_cast<std::int64_t>(plan.ids.size());
  const std::int64_t counted = std::accumulate(plan.counted.begin(), plan.counted.end(), std::int64_t{0});
  if (size > 0) {
    record.sums.add(losses, labels, std::max<std::int64_t>(counted, 1));
    record.metrics = record.sums.local();
  }
  if (counted > 0) epoch_sums_.add(record.sums);
  at::Tensor loss = losses.total;
  losses = {};  // the graph is the backward pass's to end
  // The mean over the global batch, also where shares are unequal, and over the batches of the step.
  const std::int64_t first_batch = pass_ / passes_per_step() * accumulated_batches();
  const std::int64_t window = std::min(accumulated_batches(), batches_per_epoch() - first_batch);
  double share = 1;
  if (size > 0)
    share = static_cast<double>(size) * communicator_.world_size() /
            static_cast<double>(train_loader_->sampler().samples_of(plan.step));
  if (const double factor = share / static_cast<double>(window); factor != 1.0) loss = loss * factor;
  loss = scaler_.scale(loss);
  backward(std::move(loss));
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

// Of the global batch; collective where there are class weights and each rank has one share of it.
double Trainer::mean_class_weight(const HostBatch& host) const {
  const auto weights = job_->objective->class_weights();
  if (weights.empty() || job_->train->layout().labels != LabelKind::single) return 0;
  const bool each_has_one = shares_.count == communicator_.world_size();
  const auto ids = each_has_one ? host.ids : train_loader_->sampler().ids_of(host.epoch, host.step);
  std::vector<double> sums{0, static_cast<double>(ids.size())};
  for (const auto id : ids) {
    const auto label = static_cast<std::size_t>(job_->train->label(id));
    if (label < weights.size()) sums[0] += weights[label];
  }
  if (each_has_one) communicator_.all_reduce_sum(sums);
  return sums[0] / sums[1];
}

// Whether the gradients are what an optimiser may learn from, clipped where that is asked for.
bool Trainer::learns_from_gradients(StepRecord& record) {
  if (guard_.bad()) return guard_.end_step();
  std::string cause;
  if (scaler_.unscale(parameters_)) {
    record.overflowed = scaler_.may_fall();
    if (record.overflowed) return false;  // no bad step: the scale was too large
    cause = ", where nothing is scaled up any more";
  } else {
    record.gradient_norm = gradient_norm(parameters_);
    if (std::isfinite(record.gradient_norm)) return guard_.end_step();
  }
  bad_step_ = {{}, step_start_.pass, pass_};
  guard_.found(cat("the gradient is not finite in epoch ", position_.epoch, ", batch ", position_.batch - 1,
                   cause, " (", samples_by_rank(samples_of_step()), ")"));
  return guard_.end_step();
}

void Trainer::optimizer_step(StepRecord& record) {
  const profile::Scope scope(profile::Phase::optimizer);
  record.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  const bool learns = learns_from_gradients(record);
  if (learns) {
    clip_gradients(parameters_, options_.clipping, record.gradient_norm);
    call(&Callback::on_before_optimizer_step);
    job_->optimizer->set_learning_rate(record.learning_rate);
    job_->optimizer->step();
    StopSignals::note_step(++position_.global_step);
    record.optimizer_stepped = true;
  } else if (!record.overflowed) {
    bad_step_.cause = guard_.last_cause();
    if (communicator_.is_main())
      log::warning(cat(bad_step_.cause, ": the step is skipped (", guard_.in_a_row(), " in a row, ",
                       guard_.total(), " in all)"));
    call(&Callback::on_bad_step, bad_step_);
  }
  job_->optimizer->zero_grad();
  if (!scaler_.enabled()) return;
  if (learns || record.overflowed) scaler_.update();
  log("gradient_scale", scaler_.current());
}

}  // namespace isnet
