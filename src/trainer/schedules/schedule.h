// Learning-rate schedules by name: pure functions of progress, so that a resumed run needs no state (but how
// often reduce-on-plateau has fallen: plateau.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/options.h"
#include "base/registry.h"
#include "trainer/schedules/plateau.h"
#include "trainer/schedules/swa_rate.h"

namespace isnet {

/// The progress of a run. Counts from 0; totals are of the whole run.
struct Progress {
  std::int64_t step = 0;         ///< optimiser steps done
  std::int64_t total_steps = 0;  ///< 0: not known
  std::int64_t epoch = 0;
  std::int64_t total_epochs = 0;  ///< 0: not known
  /// Optimiser steps of the epochs before this one; none: one for each epoch.
  std::function<std::int64_t(std::int64_t)> steps_before = nullptr;
  std::int64_t reductions = 0;  ///< how often reduce-on-plateau has fallen; LearningRate fills it in

  std::int64_t steps_until(std::int64_t of_epoch) const {
    return steps_before ? steps_before(of_epoch) : of_epoch;
  }
};

/// The unit in which a schedule counts.
enum class Interval { step, epoch };

/// The options of a schedule, validated.
struct ScheduleOptions {
  double rate = 0.01;   ///< --lr
  double min_rate = 0;  ///< --lr-min: where cosine and polynomial end, below which the others do not go
  double gamma = 0.1;   ///< --lr-gamma: factor of step, multi-step, exponential, reduce-on-plateau
  double power = 1;     ///< --lr-power of polynomial
  std::int64_t step_size = 30;              ///< --lr-step-size: epochs (steps) between two falls of step
  std::vector<std::int64_t> milestones;     ///< --lr-milestones: epochs (steps) at which multi-step falls
  std::int64_t warmup_steps = 0;            ///< --warmup-steps: the rate rises linearly in these
  std::optional<Interval> interval;         ///< --lr-interval; none: the schedule's own
  std::shared_ptr<const OptionValues> all;  ///< for schedules with options of their own

  Interval interval_or(Interval own) const { return interval.value_or(own); }
};

/// The rate at this progress, warm-up left out.
using Schedule = std::function<double(const ScheduleOptions&, const Progress&)>;

/// By the names that --lr-schedule takes.
Registry<Schedule>& schedules();

/// --lr-schedule, --lr-interval, --warmup-steps, --warmup-epochs and the options of all registered schedules;
/// --lr is the optimiser's.
std::vector<OptionSpec> schedule_options();

/// How far a schedule has come, in steps or epochs, counted from the end of the warm-up to the run's end.
struct Stretch {
  double done = 0;
  double length = 0;  ///< at least 1; 0: the end is not known
};
/// `own`: what the schedule counts in where --lr-interval is not given. `done` is negative during the
/// warm-up.
Stretch stretch_of(const ScheduleOptions& options, const Progress& progress, Interval own);
/// The same of one that counts in steps of its own accord and has to know its end. Errors: usage.
Stretch known_stretch(const char* name, const ScheduleOptions& options, const Progress& progress);
/// Its share, from 0 to 1.
double share_done(const char* name, const ScheduleOptions& options, const Progress& progress);

/// The learning rate of a run.
class LearningRate {
 public:
  /// Errors: usage (unknown schedule, a schedule without what it needs).
  explicit LearningRate(const OptionValues& options);
  /// A schedule of the caller's own, without warm-up and floor.
  explicit LearningRate(Schedule schedule) : schedule_(std::move(schedule)) {}

  /// The rate for the step that comes next. In warm-up step s = 0, 1, … the schedule's rate is multiplied by
  /// (s + 1) / warm-up steps; cosine and polynomial begin after it. Errors: usage (cosine without a known
  /// number of steps).
  double at(Progress progress) const;

  /// The watch of reduce-on-plateau; nullptr for other schedules.
  Plateau* plateau() { return plateau_ ? &*plateau_ : nullptr; }

 private:
  double scheduled(Progress progress) const;

  ScheduleOptions options_;
  std::int64_t warmup_epochs_ = 0;
  Schedule schedule_;
  std::optional<Plateau> plateau_;
  std::optional<SwaRate> swa_;
};

}  // namespace isnet
