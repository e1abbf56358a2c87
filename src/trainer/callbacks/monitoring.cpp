#include "trainer/callbacks/monitoring.h"

#include "trainer/monitor.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

// An epoch in which the objective is not as at the end (--tune-cut, a P that changes) is no candidate: its
// losses cannot be compared, and by accuracy a warm-up's plain classifier would win.
bool counts(const Trainer& trainer) {
  const auto& position = trainer.position();
  return trainer.job().objective->comparable(position.batch > 0 ? position.epoch : position.epoch - 1);
}

}  // namespace

void Monitoring::on_validated(Trainer& trainer, const Metrics& metrics) {
  const auto value = monitored(trainer.options().monitor, {}, metrics, trainer.job().validation_name);
  if (value && counts(trainer)) decide(trainer, *value);
}

void Monitoring::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  const auto value = monitored(trainer.options().monitor, metrics, {});
  if (value && counts(trainer)) decide(trainer, *value);
}

}  // namespace isnet
