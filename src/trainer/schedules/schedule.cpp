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
  std::vector<OptionSpec> options{
      choice_option("lr-schedule", "constant", "How the learning rate changes", schedules().names()),
      choice_option("lr-interval", "auto",
                    "Unit of the schedule; "
                    "auto: steps for cosine, polynomial, one-cycle and cyclic, else epochs",
                    {"auto", "step", "epoch"}),
      integer_option("warmup-steps", "0",
                     "Steps in which the learning rate rises linearly to the schedule's",
                     0),
      integer_option("warmup-epochs", "0",
                     "Epochs in which the learning rate rises linearly to the schedule's", 0),
      real_option("lr-min", "0",
                  "Learning rate at which cosine and polynomial end, and the lower bound of all schedules", 0,
                  1e6)};
  for (auto& more : {schedules().options(), swa_rate_options()})
    options.insert(options.end(), more.begin(), more.end());
  return options;
}

Stretch stretch_of(const ScheduleOptions& options, const Progress& progress, Interval own) {
  const bool by_step = options.interval_or(own) == Interval::step;
  const std::int64_t total = by_step ? progress.total_steps : progress.total_epochs;
  std::int64_t warmup = by_step ? options.warmup_steps : 0;
  while (!by_step && progress.steps_until(warmup) < options.warmup_steps) ++warmup;
  Stretch stretch;
  stretch.done = static_cast<double>((by_step ? progress.step : progress.epoch) - warmup);
  if (total > 0) stretch.length = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  return stretch;
}

Stretch known_stretch(const char* name, const ScheduleOptions& options, const Progress& progress) {
  const Stretch stretch = stretch_of(options, progress, Interval::step);
  if (stretch.length <= 0)
    fail(ErrorKind::usage, "--lr-schedule ", name, " needs a known end: set --max-epochs or --max-steps");
  return stretch;
}

double share_done(const char* name, const ScheduleOptions& options, const Progress& progress) {
  const Stretch stretch = known_stretch(name, options, progress);
  return std::clamp(stretch.done / stretch.length, 0.0, 1.0);
}

LearningRate::LearningRate(const OptionValues& options)
    : warmup_epochs_(options.integer("warmup-epochs")),
      schedule_(schedules().at(options.text("lr-schedule")).make) {
  const std::string& name = options.text("lr-schedule");
  options_.all = std::make_shared<const OptionValues>(options);
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
  if (options.has("swa-lr")) swa_.emplace(options);
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
  if (!swa_ || progress.epoch < swa_->start_epoch()) return scheduled(std::move(progress));
  const std::int64_t epochs = progress.epoch - swa_->start_epoch();
  progress.epoch = swa_->start_epoch();
  progress.step = progress.steps_until(progress.epoch);
  return swa_->at(epochs, scheduled(std::move(progress)));
}

double LearningRate::scheduled(Progress progress) const {
  ScheduleOptions options = options_;
  if (warmup_epochs_ > 0) options.warmup_steps = progress.steps_until(warmup_epochs_);
  if (plateau_) progress.reductions = plateau_->reductions();
  const double rate = std::max(schedule_(options, progress), options.min_rate);
  if (progress.step >= options.warmup_steps) return rate;
  return rate * static_cast<double>(progress.step + 1) / static_cast<double>(options.warmup_steps);
}

}  // namespace isnet
