#include "trainer/callbacks/early_stopping.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "trainer/monitor.h"
#include "trainer/trainer.h"

namespace isnet {

std::string EarlyStopping::observe(double value) {
  const double sign = larger_is_better_ ? -1 : 1;
  if (options_.stopping_threshold && sign * value <= sign * *options_.stopping_threshold)
    return cat("it has reached ", *options_.stopping_threshold);
  if (std::isfinite(value) && (!best_ || sign * value < sign * *best_ - options_.min_delta)) {
    best_ = value;
    waited_ = 0;
    return "";
  }
  if (++waited_ < options_.patience) return "";
  return cat("no improvement in ", waited_, " validation(s)", best_ ? cat(", best ", *best_) : "");
}

void EarlyStopping::decide(Trainer& trainer, double value) {
  const std::string reason = observe(value);
  if (reason.empty()) return;
  log::info(cat("early stopping: ", trainer.options().monitor, " is ", value, ": ", reason));
  trainer.stop();
}

void EarlyStopping::on_save_checkpoint(const Trainer&, Checkpoint& checkpoint) {
  auto& state = checkpoint.state["callbacks"]["early_stopping"];
  state["waited"] = waited_;
  state["best"] = best_ ? nlohmann::json(*best_) : nlohmann::json();
}

void EarlyStopping::on_load_checkpoint(const Trainer&, const Checkpoint& checkpoint) {
  const auto all = checkpoint.state.value("callbacks", nlohmann::json::object());
  if (!all.contains("early_stopping")) return;  // the run began without it
  const auto& state = all.at("early_stopping");
  waited_ = state.at("waited");
  if (!state.at("best").is_null()) best_ = state.at("best").get<double>();
}

namespace {

const Registration<CallbackFactory> registration(
    callbacks(),
    {"early-stopping",
     "Stops when --monitor no longer improves",
     {integer_option("early-stopping-patience", "0",
                     "Validations without improvement of --monitor after which training stops; 0: never", 0),
      real_option("early-stopping-min-delta", "0",
                  "Smallest change of --monitor that counts as an improvement", 0,
                  1e30),
      real_option("early-stopping-threshold", "", "Value of --monitor at which training stops at once", -1e30,
                  1e30)},
     [](const CallbackContext& context) -> std::shared_ptr<Callback> {
       EarlyStoppingOptions options;
       options.patience = context.options.integer("early-stopping-patience");
       options.min_delta = context.options.real("early-stopping-min-delta");
       if (context.options.has("early-stopping-threshold"))
         options.stopping_threshold = context.options.real("early-stopping-threshold");
       if (options.patience == 0 && !options.stopping_threshold) return nullptr;
       if (options.patience == 0) options.patience = std::numeric_limits<std::int64_t>::max();
       return std::make_shared<EarlyStopping>(options, larger_is_better(context.options));
     }});

}  // namespace
}  // namespace isnet
