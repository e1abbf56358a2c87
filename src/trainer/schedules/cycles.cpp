// Schedules that rise and fall: PyTorch's OneCycleLR and CyclicLR, of the learning rate alone.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "trainer/schedules/schedule.h"

namespace isnet {
namespace {

double between(double from, double to, double share, bool cosine) {
  return cosine ? to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * share))
                : from + (to - from) * share;
}

// Smith and Topin (2018).
double one_cycle(const ScheduleOptions& options, const Progress& progress) {
  const Stretch stretch = known_stretch("one-cycle", options, progress);
  const double rise = options.all->real("lr-pct-start") * stretch.length;
  const bool cosine = options.all->text("lr-anneal") == "cos";
  const double first = options.rate / options.all->real("lr-div-factor");
  const double final = first / options.all->real("lr-final-div-factor");
  struct Part {
    double end, from, to;
  };
  std::vector<Part> parts{{rise - 1, first, options.rate}};
  if (options.all->flag("lr-three-phase")) parts.push_back({2 * rise - 2, options.rate, first});
  parts.push_back({stretch.length - 1, parts.back().to, final});
  const double done = std::clamp(stretch.done, 0.0, stretch.length - 1);
  double begin = 0;
  for (const Part& part : parts) {
    if (done <= part.end)
      return between(part.from, part.to, part.end > begin ? (done - begin) / (part.end - begin) : 1, cosine);
    begin = part.end;
  }
  return final;
}

// Smith (2017).
double cyclic(const ScheduleOptions& options, const Progress& progress) {
  const double done = std::max(0.0, stretch_of(options, progress, Interval::step).done);
  const double up = options.all->real("lr-cycle-up");
  const double down = options.all->has("lr-cycle-down") ? options.all->real("lr-cycle-down") : up;
  const double cycle = std::floor(done / (up + down));
  const double within = done - cycle * (up + down);
  const double height = within <= up ? within / up : 1 - (within - up) / down;
  const std::string& mode = options.all->text("lr-cycle-mode");
  const double scale = mode == "triangular2" ? std::pow(2, -cycle)
                       : mode == "exp-range" ? std::pow(options.gamma, done)
                                             : 1;
  return options.min_rate + (options.rate - options.min_rate) * height * scale;
}

const Registration<Schedule> of_one_cycle(
    schedules(),
    {"one-cycle",
     "Rises to --lr, then falls far below where it began",
     {real_option("lr-pct-start", "0.3", "one-cycle: share of the run in which the rate rises", 0, 1),
      real_option("lr-div-factor", "25", "one-cycle: the rate begins at --lr divided by this", 0, 1e12, true),
      real_option("lr-final-div-factor", "1e4",
                  "one-cycle: the rate ends at its first value divided by this", 0,
                  1e12, true),
      choice_option("lr-anneal", "cos", "one-cycle: form of the rise and the fall", {"cos", "linear"}),
      switch_option("lr-three-phase", false,
                    "one-cycle: fall as fast as the rate rose, then fall to the end")},
     one_cycle});

const Registration<Schedule> of_cycles(
    schedules(),
    {"cyclic",
     "Between --lr-min and --lr, up and down again and again",
     {real_option("lr-gamma", "0.1", "Factor of the learning rate at each fall", 0, 1),
      integer_option("lr-cycle-up", "2000", "cyclic: steps in which the rate rises", 1),
      integer_option("lr-cycle-down", "", "cyclic: steps in which the rate falls (default: --lr-cycle-up)",
                     1),
      choice_option("lr-cycle-mode", "triangular",
                    "cyclic: height of the cycles: constant, halved in each cycle, "
                    "or times --lr-gamma in each step",
                    {"triangular", "triangular2", "exp-range"})},
     cyclic});

}  // namespace
}  // namespace isnet
