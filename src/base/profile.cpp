#include "base/profile.h"

#include <algorithm>

#include "base/activity.h"
#include "base/error.h"

namespace isnet::profile {
namespace {

thread_local Recorder* recorder = nullptr;

}  // namespace

const char* name_of(Phase phase) {
  constexpr std::array<const char*, phase_count> names{"data_wait",     "transfer",  "forward",
                                                       "relevance",     "loss",      "backward",
                                                       "communication", "optimizer", "other"};
  return names[static_cast<std::size_t>(phase)];
}

Recorder::Recorder(std::int64_t traced_steps, std::function<void()> synchronise)
    : traced_steps_(traced_steps), synchronise_(std::move(synchronise)) {
  if (recorder) fail(ErrorKind::internal, "two recorders on one thread");
  recorder = this;
}

Recorder::~Recorder() {
  recorder = nullptr;
}

Clock::time_point Recorder::now() const {
  if (synchronise_) synchronise_();
  return Clock::now();
}

void Recorder::change(Phase next, Clock::time_point when) {
  step_times_[static_cast<std::size_t>(phase_)] += when - since_;
  if (steps_ < traced_steps_ && when > since_) step_spans_.push_back({name_of(phase_), since_, when});
  phase_ = next;
  since_ = when;
}

bool active() {
  return recorder && recorder->in_step_;
}

std::function<Clock::time_point()> clock() {
  return [synchronise = recorder ? recorder->synchronise_ : nullptr] {
    if (synchronise) synchronise();
    return Clock::now();
  };
}

Step::Step() : recorder_(recorder && !recorder->in_step_ ? recorder : nullptr) {
  if (!recorder_) return;
  recorder_->in_step_ = true;
  recorder_->phase_ = Phase::other;
  recorder_->step_times_ = {};
  recorder_->step_spans_.clear();
  recorder_->begun_ = recorder_->since_ = recorder_->now();
}

Step::~Step() {
  if (recorder_ && recorder_ == recorder) recorder_->in_step_ = false;
}

void Step::finish() {
  if (!recorder_) return;
  Recorder& of = *recorder_;
  of.change(Phase::other, of.now());
  for (std::size_t i = 0; i < phase_count; ++i) of.times_[i] += of.step_times_[i];
  of.step_time_ += of.since_ - of.begun_;
  if (of.steps_ < of.traced_steps_) {
    of.spans_.push_back({cat("step ", of.steps_), of.begun_, of.since_});
    of.spans_.insert(of.spans_.end(), of.step_spans_.begin(), of.step_spans_.end());
  }
  ++of.steps_;
  of.in_step_ = false;
  recorder_ = nullptr;
}

Scope::Scope(Phase phase)
    : recorder_(active() ? recorder : nullptr), outer_activity_(activity::enter_phase(name_of(phase))) {
  if (!recorder_) return;
  outer_ = recorder_->phase_;
  recorder_->change(phase, recorder_->now());
}

Scope::~Scope() {
  activity::enter_phase(outer_activity_);
  if (recorder_) recorder_->change(outer_, recorder_->now());
}

void Scope::next(Phase phase) {
  activity::enter_phase(name_of(phase));
  if (recorder_) recorder_->change(phase, recorder_->now());
}

void Scope::next(Phase phase, Clock::time_point since) {
  activity::enter_phase(name_of(phase));
  if (recorder_) recorder_->change(phase, std::clamp(since, recorder_->since_, Clock::now()));
}

}  // namespace isnet::profile
