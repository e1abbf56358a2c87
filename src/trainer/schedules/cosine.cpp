// Schedules that have come to --lr-min at the run's end.
#include <cmath>
#include <numbers>

#include "trainer/schedules/schedule.h"

namespace isnet {
namespace {

// Loshchilov and Hutter, "SGDR" (2017), equation 5, one period.
double cosine(const ScheduleOptions& options, const Progress& progress) {
  const double share = share_done("cosine", options, progress);
  return options.min_rate +
         (options.rate - options.min_rate) * 0.5 * (1 + std::cos(std::numbers::pi * share));
}

double polynomial(const ScheduleOptions& options, const Progress& progress) {
  const double share = share_done("polynomial", options, progress);
  return options.min_rate + (options.rate - options.min_rate) * std::pow(1 - share, options.power);
}

const Registration<Schedule> by_cosine(
    schedules(), {"cosine", "Half a cosine from --lr to --lr-min over the run", {}, cosine});
const Registration<Schedule> by_power(
    schedules(), {"polynomial",
                  "From --lr to --lr-min over the run, as (share left)^--lr-power",
                  {real_option("lr-power", "1", "polynomial: exponent; 1 is a straight line", 0, 100, true)},
                  polynomial});

}  // namespace
}  // namespace isnet
