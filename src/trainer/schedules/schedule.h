// Learning-rate schedules by name: pure functions of progress, so that a resumed run needs no state.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/options.h"
#include "base/registry.h"

namespace isnet {

/// Where a run stands. Counts from 0; totals are of the whole run.
struct Progress {
  std::int64_t step = 0;         ///< optimiser steps done
  std::int64_t total_steps = 0;  ///< 0: not known
  std::int64_t epoch = 0;
};

/// The options of a schedule, validated.
struct ScheduleOptions {
  double rate = 0.01;           ///< --lr
  double min_rate = 0;          ///< --lr-min: where cosine ends, and below which the others do not go
  double gamma = 0.1;           ///< --lr-gamma: factor of step, multi-step, exponential
  std::int64_t step_size = 30;  ///< --lr-step-size: epochs between two falls of step
  std::vector<std::int64_t> milestones;  ///< --lr-milestones: epochs at which multi-step falls
  std::int64_t warmup_steps = 0;         ///< --warmup-steps: the rate rises linearly in these
};

/// The rate at this progress, warm-up left out.
using Schedule = std::function<double(const ScheduleOptions&, const Progress&)>;

Registry<Schedule>& schedules();

/// --lr-schedule, --warmup-steps and the options of all registered schedules; --lr is the optimiser's.
std::vector<OptionSpec> schedule_options();

/// The learning rate of a run.
class LearningRate {
 public:
  /// Errors: usage (unknown schedule, a schedule without what it needs).
  explicit LearningRate(const OptionValues& options);

  /// The rate for the step that comes next. In warm-up step s = 0, 1, … the schedule's rate is multiplied by
  /// (s + 1) / warmup_steps; cosine begins after it. Errors: usage (cosine without a known number of steps).
  double at(const Progress& progress) const;

 private:
  ScheduleOptions options_;
  Schedule schedule_;
};

}  // namespace isnet
