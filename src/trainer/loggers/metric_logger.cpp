#include "trainer/loggers/metric_logger.h"

#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {

void MetricLogger::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  const auto& position = trainer.position();
  if (!record.optimizer_stepped || position.global_step % trainer.options().log_every_n_steps != 0) return;
  LogEntry entry{position.epoch, position.global_step, "step", record.sums.reduced(trainer.communicator())};
  if (!trainer.communicator().is_main()) return;
  entry.metrics.emplace_back("learning_rate", record.learning_rate);
  for (const auto& [name, factor] : trainer.job().optimizer->rate_factors())
    entry.metrics.emplace_back("learning_rate_" + name, record.learning_rate * factor);
  if (!std::isnan(record.gradient_norm)) entry.metrics.emplace_back("gradient_norm", record.gradient_norm);
  for (const auto& [name, value] : trainer.logged()) entry.metrics.emplace_back(name, value);
  write(entry);
}

void MetricLogger::on_validated(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  const auto& position = trainer.position();
  const std::int64_t epoch = position.batch > 0 ? position.epoch : position.epoch - 1;
  for (const auto& [split, of_split] : by_split(metrics, trainer.job().validation_name))
    write({epoch, position.global_step, split, of_split});
}

void MetricLogger::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  write({trainer.position().epoch - 1, trainer.position().global_step, "train", metrics});
}

void GrowingFile::append(const std::string& bytes) {
  if (broken_) return;
  try {
    if (!file_) file_.emplace(path_);
    file_->append(bytes);
  } catch (const Error& e) {
    broken_ = true;
    log::warning(cat(e.what(), "; the training continues without this log"));
  }
}

}  // namespace isnet
