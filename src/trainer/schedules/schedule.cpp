#include "trainer/schedules/schedule.h"

#include <algorithm>

#include "base/error.h"

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
      integer_option("warmup-steps", "0", "Steps in which the learning rate rises linearly to the schedule's",
                     0),
      real_option("lr-min", "0", "Learning rate at which cosine ends, and below which no schedule goes", 0,
                  1e6)};
  for (auto& option : schedules().options()) options.push_back(std::move(option));
  return options;
}

LearningRate::LearningRate(const OptionValues& options)
    : schedule_(schedules().at(options.text("lr-schedule")).make) {
  options_.rate = options.real("lr");
  options_.min_rate = options.real("lr-min");
  options_.gamma = options.real("lr-gamma");
  options_.step_size = options.integer("lr-step-size");
  if (options.has("lr-milestones")) options_.milestones = options.integers("lr-milestones");
  options_.warmup_steps = options.integer("warmup-steps");
  if (options_.min_rate > options_.rate)
    fail(ErrorKind::usage, "--lr-min ", options_.min_rate, " is above --lr ", options_.rate);
  if (options.text("lr-schedule") == "multi-step" && options_.milestones.empty())
    fail(ErrorKind::usage,
         "--lr-schedule multi-step needs --lr-milestones, the epochs at which the rate falls");
}

double LearningRate::at(const Progress& progress) const {
  const double rate = std::max(schedule_(options_, progress), options_.min_rate);
  if (progress.step >= options_.warmup_steps) return rate;
  return rate * static_cast<double>(progress.step + 1) / static_cast<double>(options_.warmup_steps);
}

}  // namespace isnet
