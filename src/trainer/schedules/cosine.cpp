#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "trainer/schedules/schedule.h"

namespace isnet {
namespace {

// Loshchilov and Hutter, "SGDR" (2017), equation 5, one period: from --lr down to --lr-min in all steps after
// the warm-up.
double cosine(const ScheduleOptions& options, const Progress& progress) {
  if (progress.total_steps <= 0)
    fail(ErrorKind::usage, "--lr-schedule cosine needs a known end: set --max-epochs or --max-steps");
  const double steps =
      static_cast<double>(std::max<std::int64_t>(1, progress.total_steps - options.warmup_steps));
  const double done = static_cast<double>(progress.step - options.warmup_steps);
  const double share = std::clamp(done / steps, 0.0, 1.0);
  return options.min_rate +
         (options.rate - options.min_rate) * 0.5 * (1 + std::cos(std::numbers::pi * share));
}

const Registration<Schedule> registration(
    schedules(), {"cosine", "half a cosine from --lr to --lr-min over all steps", {}, cosine});

}  // namespace
}  // namespace isnet
