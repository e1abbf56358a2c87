#include "trainer/callbacks/loss_watch.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {

// A loss that falls as it should never comes near these; one that blows up passes them in a few steps.
std::string LossExplosion::next(double loss) {
  constexpr std::int64_t first_steps = 50;
  constexpr double rise = 20, large = 50;
  if (said_ || steps_ >= first_steps || std::isnan(loss)) return "";
  if (steps_++ == 0) first_ = lowest_ = loss;
  lowest_ = std::min(lowest_, loss);
  if (!(loss > large && loss > rise * lowest_)) return "";
  said_ = true;
  return cat("the loss rose from ", first_, " to ", loss, " in ", steps_,
             " step(s), without gradient clipping: try --gradient-clip-val 1, or a smaller --lr");
}

void LossWatch::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  if (!trainer.communicator().is_main() || record.metrics.empty()) return;
  if (const auto hint = explosion_.next(metric(record.metrics, "loss")); !hint.empty()) log::warning(hint);
}

namespace {

const Registration<CallbackFactory> registration(
    callbacks(), {"loss-watch",
                  "warns where the loss explodes in the first steps and gradients are not clipped",
                  {},
                  [](const CallbackContext& context) -> std::shared_ptr<Callback> {
                    const bool known = context.options.known("gradient-clip-val");
                    if (!known || gradient_clipping(context.options).limit > 0) return nullptr;
                    return std::make_shared<LossWatch>();
                  }});

}  // namespace
}  // namespace isnet
