#include "trainer/schedules/plateau.h"

#include <cmath>

#include "base/error.h"
#include "trainer/schedules/schedule.h"

namespace isnet {

bool Plateau::better(double value) const {
  if (!std::isfinite(value)) return false;
  if (!best_) return true;
  if (options_.larger_is_better)
    return value > (options_.relative ? *best_ * (1 + options_.threshold) : *best_ + options_.threshold);
  return value < (options_.relative ? *best_ * (1 - options_.threshold) : *best_ - options_.threshold);
}

bool Plateau::observe(double value) {
  if (better(value)) {
    best_ = value;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    bad_epochs_ = 0;
  }
  if (bad_epochs_ <= options_.patience) return false;
  ++reductions_;
  cooldown_left_ = options_.cooldown;
  bad_epochs_ = 0;
  return true;
}

nlohmann::json Plateau::state() const {
  nlohmann::json state{
      {"bad_epochs", bad_epochs_}, {"cooldown_left", cooldown_left_}, {"reductions", reductions_}};
  state["best"] = best_ ? nlohmann::json(*best_) : nlohmann::json();
  return state;
}

void Plateau::load_state(const nlohmann::json& state) {
  try {
    bad_epochs_ = state.at("bad_epochs");
    cooldown_left_ = state.at("cooldown_left");
    reductions_ = state.at("reductions");
    best_.reset();
    if (!state.at("best").is_null()) best_ = state.at("best").get<double>();
  } catch (const std::exception& e) {
    fail(ErrorKind::checkpoint,
         "the checkpoint lacks the state of --lr-schedule reduce-on-plateau: ", e.what());
  }
}

namespace {

const Registration<Schedule> registration(
    schedules(),
    {"reduce-on-plateau",
     "Times --lr-gamma when --monitor has not improved for --lr-patience epochs",
     {real_option("lr-gamma", "0.1", "Factor of the learning rate at each fall", 0, 1),
      integer_option("lr-patience", "10", "reduce-on-plateau: epochs without improvement to wait", 0),
      integer_option("lr-cooldown", "0", "reduce-on-plateau: epochs after a fall that do not count",
                     0),
      real_option("lr-threshold", "1e-4", "reduce-on-plateau: smallest change that counts as an improvement",
                  0, 1e30),
      choice_option("lr-threshold-mode", "rel",
                    "reduce-on-plateau: whether --lr-threshold is relative or absolute",
                    {"rel", "abs"})},
     [](const ScheduleOptions& options, const Progress& progress) {
       return options.rate * std::pow(options.gamma, static_cast<double>(progress.reductions));
     }});

}  // namespace
}  // namespace isnet
