// Schedules that multiply the rate by --lr-gamma at certain epochs, or steps (--lr-interval step).
#include <algorithm>
#include <cmath>

#include "trainer/schedules/schedule.h"

namespace isnet {
namespace {

double fallen(const ScheduleOptions& options, std::int64_t times) {
  return options.rate * std::pow(options.gamma, static_cast<double>(times));
}

std::int64_t done(const ScheduleOptions& options, const Progress& progress) {
  return options.interval_or(Interval::epoch) == Interval::epoch ? progress.epoch : progress.step;
}

OptionSpec gamma_option() {
  return real_option("lr-gamma", "0.1", "Factor of the learning rate at each fall", 0, 1);
}

const Registration<Schedule> step(
    schedules(), {"step",
                  "Times --lr-gamma every --lr-step-size epochs",
                  {gamma_option(), integer_option("lr-step-size", "30",
                                                  "step: epochs between two falls", 1)},
                  [](const ScheduleOptions& options, const Progress& progress) {
                    return fallen(options, done(options, progress) / options.step_size);
                  }});

const Registration<Schedule> multi_step(
    schedules(),
    {"multi-step",
     "Times --lr-gamma at each epoch of --lr-milestones",
     {gamma_option(),
      integers_option("lr-milestones", "", "multi-step: epochs (from 0) at which the rate falls", 0)},
     [](const ScheduleOptions& options, const Progress& progress) {
       return fallen(options, std::count_if(options.milestones.begin(), options.milestones.end(),
                                            [&](auto at) { return done(options, progress) >= at; }));
     }});

const Registration<Schedule> exponential(schedules(),
                                         {"exponential",
                                          "Times --lr-gamma every epoch",
                                          {gamma_option()},
                                          [](const ScheduleOptions& options, const Progress& progress) {
                                            return fallen(options, done(options, progress));
                                          }});

}  // namespace
}  // namespace isnet
