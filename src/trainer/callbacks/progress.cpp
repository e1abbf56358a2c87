#include "trainer/callbacks/progress.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "base/output_queue.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string clock_text(double total) {
  const auto whole = static_cast<long>(total + 0.5);
  char text[48];
  std::snprintf(text, sizeof text, whole >= 3600 ? "%ld:%02ld:%02ld" : "%.0ld%02ld:%02ld", whole / 3600,
                whole / 60 % 60, whole % 60);
  return text;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

void ProgressBar::on_train_epoch_start(Trainer& trainer) {
  epoch_started_ = shown_ = Clock::now();
  first_batch_ = trainer.position().batch;
  batches_ = 0;
  samples_ = 0;
  sums_.clear();
}

std::string ProgressBar::line(const Trainer& trainer) const {
  const auto& position = trainer.position();
  const std::int64_t done = std::max<std::int64_t>(position.batch - first_batch_, 1);
  const double elapsed = seconds(Clock::now() - epoch_started_), each = elapsed / static_cast<double>(done);
  const std::int64_t all = trainer.batches_per_epoch();
  const std::int64_t left = (trainer.options().max_epochs - position.epoch) * all - position.batch;
  std::string text = cat("epoch ", position.epoch, ": ", position.batch, "/", all);
  for (const auto& [name, sum] : sums_)
    if (name != "samples") text += cat("  ", name, " ", number(sum / static_cast<double>(batches_)));
  return cat(text, "  ", number(samples_ * trainer.communicator().world_size() / elapsed), " samples/s  ",
             clock_text(each * static_cast<double>(all - position.batch)), " left in epoch, ",
             clock_text(each * static_cast<double>(left)), " in all");
}

void ProgressBar::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  if (quiet_ || !trainer.communicator().is_main()) return;
  ++batches_;
  samples_ += static_cast<double>(trainer.shares().size);
  for (std::size_t i = 0; i < record.metrics.size(); ++i) {
    if (i >= sums_.size()) sums_.emplace_back(record.metrics[i].first, 0.0);
    sums_[i].second += record.metrics[i].second;
  }
  if (terminal_) {
    if (seconds(Clock::now() - shown_) < 0.2 && trainer.position().batch != trainer.batches_per_epoch())
      return;
    shown_ = Clock::now();
    error_output().draw("\r\033[K" + line(trainer));
  } else if (trainer.position().batch % trainer.options().log_every_n_steps == 0) {
    log::info(line(trainer));
  }
}

void ProgressBar::clear() const {
  if (!terminal_ || quiet_) return;
  error_output().write("\r\033[K");
}

void ProgressBar::on_validation_start(Trainer& trainer) {
  if (terminal_ && !quiet_ && trainer.communicator().is_main()) error_output().draw("\r\033[Kvalidating …");
}

void ProgressBar::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  clear();
  std::string text = cat("epoch ", trainer.position().epoch - 1, " done in ",
                         clock_text(seconds(Clock::now() - epoch_started_)), ": ");
  for (const auto& [name, value] : metrics)
    if (name != "samples") text += cat(name, " ", number(value), "  ");
  if (!trainer.validation_metrics().empty())
    for (const auto& [split, of_split] :
         by_split(trainer.validation_metrics(), trainer.job().validation_name))
      for (const auto& [name, value] : of_split)
        if (name != "samples") text += cat(split, "_", name, " ", number(value), "  ");
  log::info(text.substr(0, text.size() - 2));
}

}  // namespace isnet
