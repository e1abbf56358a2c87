#include "trainer/callbacks/plateau_watch.h"

#include "base/error.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {

// A validation at the end of an epoch comes when the position is that of the next one.
void PlateauWatch::decide(Trainer& trainer, double value) {
  if (trainer.position().batch > 0) return;
  if (trainer.job().learning_rate->plateau()->observe(value))
    log::info(cat(trainer.options().monitor, " is on a plateau: the learning rate falls to ",
                  trainer.current_learning_rate()));
}

void PlateauWatch::on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) {
  checkpoint.state["callbacks"]["plateau"] = trainer.job().learning_rate->plateau()->state();
}

void PlateauWatch::on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) {
  const auto all = checkpoint.state.value("callbacks", nlohmann::json::object());
  if (all.contains("plateau")) trainer.job().learning_rate->plateau()->load_state(all.at("plateau"));
}

namespace {

const Registration<CallbackFactory> registration(
    callbacks(), {"plateau-watch",
                  "Shows --lr-schedule reduce-on-plateau the monitored metric",
                  {},
                  [](const CallbackContext& context) -> std::shared_ptr<Callback> {
                    if (context.options.text("lr-schedule") != "reduce-on-plateau") return nullptr;
                    return std::make_shared<PlateauWatch>();
                  }});

}  // namespace
}  // namespace isnet
