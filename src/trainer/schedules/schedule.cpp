#include "trainer/schedules/schedule.h"

#include <algorithm>

#include "base/error.h"
#include "trainer/monitor.h"

namespace isnet {

Registry<Schedule>& schedules() {
  static Registry<Schedule> registry("lr-schedule");
  return registry;
}

std::vector<OptionSpec> schedule_options() {
  std::string names;
  for (const auto& name : schedules().names()) names += (names.empty() ? "" : "|") + name;
  std::vector<OptionSpec> options{
      text_option("lr-schedule", "constant", names, "How the learning rate changes"),
      choice_option("lr-interval", "auto",
                    "What the schedule counts in; auto: steps for cosine and polynomial, else epochs",
                    {"auto", "step", "epoch"}),
      integer_option("warmup-steps", "0", "Steps in which the learning rate rises linearly to the schedule's",
                     0),
      integer_option("warmup-epochs", "0", "The same in epochs", 0),
      real_option("lr-min", "0",
                  "Learning rate at which cosine and polynomial end, and below which no schedule goes", 0,
                  1e6)};
  for (auto& option : schedules().options()) options.push_back(std::move(option));
  return options;
}

double share_done(const char* name, const ScheduleOptions& options, const Progress& progress) {
  const bool by_step = options.interval_or(Interval::step) == Interval::step;
  const std::int64_t total = by_step ? progress.total_steps : progress.total_epochs;
  if (total <= 0)
    fail(ErrorKind::usage, "--lr-schedule ", name, " needs a known end: set --max-epochs or --max-steps");
  const std::int64_t per_epoch = std::max<std::int64_t>(1, progress.steps_per_epoch);
  const std::int64_t warmup =
      by_step ? options.warmup_steps : (options.warmup_steps + per_epoch - 1) / per_epoch;
  const double length = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  const double done = static_cast<double>((by_step ? progress.step : progress.epoch) - warmup);
  return std::clamp(done / length, 0.0, 1.0);
}

LearningRate::LearningRate(const OptionValues& options)
    : warmup_epochs_(options.integer("warmup-epochs")),
      schedule_(schedules().at(options.text("lr-schedule")).make) {
  const std::string& name = options.text("lr-schedule");
  options_.rate = options.real("lr");
  options_.min_rate = options.real("lr-min");
  options_.gamma = options.real("lr-gamma");
  options_.power = options.real("lr-power");
  options_.step_size = options.integer("lr-step-size");
  if (options.has("lr-milestones")) options_.milestones = options.integers("lr-milestones");
  options_.warmup_steps = options.integer("warmup-steps");
  const std::string& interval = options.text("lr-interval");
  if (interval != "auto") options_.interval = interval == "step" ? Interval::step : Interval::epoch;
  if (options_.min_rate > options_.rate)
    fail(ErrorKind::usage, "--lr-min ", options_.min_rate, " is above --lr ", options_.rate);
  if (options_.warmup_steps > 0 && warmup_epochs_ > 0)
    fail(ErrorKind::usage, "--warmup-steps and --warmup-epochs exclude each other");
  if (name == "multi-step" && options_.milestones.empty())
    fail(ErrorKind::usage,
         "--lr-schedule multi-step needs --lr-milestones, the epochs at which the rate falls");
  if (name != "reduce-on-plateau") return;
  if (interval == "step")
    fail(ErrorKind::usage,
         "--lr-interval: 'step' is not allowed with --lr-schedule reduce-on-plateau, which "
         "looks at --monitor after each epoch");
  plateau_.emplace(PlateauOptions{larger_is_better(options), options.integer("lr-patience"),
                                  options.integer("lr-cooldown"), options.real("lr-threshold"),
                                  options.text("lr-threshold-mode") == "rel"});
}

double LearningRate::at(Progress progress) const {
  ScheduleOptions options = options_;
  if (warmup_epochs_ > 0) options.warmup_steps = warmup_epochs_ * progress.steps_per_epoch;
  if (plateau_) progress.reductions = plateau_->reductions();
  const double rate = std::max(schedule_(options, progress), options.min_rate);
  if (progress.step >= options.warmup_steps) return rate;
  return rate * static_cast<double>(progress.step + 1) / static_cast<double>(options.warmup_steps);
}

}  // namespace isnet
