#include "trainer/callbacks/progress.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

void ProgressBar::on_train_epoch_start(Trainer& trainer) {
  epoch_started_ = Clock::now();
  first_batch_ = trainer.position().batch;
  batches_ = 0;
  samples_ = 0;
  sums_.clear();
  if (quiet_ || !trainer.communicator().is_main() || !StatusLine::drawn()) return;
  {
    const std::lock_guard lock(mutex_);
    shown_ = {cat("epoch ", trainer.position().epoch), first_batch_, trainer.batches_per_epoch(), ""};
  }
  status_.emplace(
      [this](std::size_t width) {
        const std::lock_guard lock(mutex_);
        return progress_line(shown_, width);
      },
      StatusLine::WithoutTerminal::nothing);
}

ProgressText ProgressBar::progress(const Trainer& trainer) const {
  const auto& position = trainer.position();
  const std::int64_t done = std::max<std::int64_t>(position.batch - first_batch_, 1);
  const double elapsed = seconds(Clock::now() - epoch_started_), each = elapsed / static_cast<double>(done);
  const std::int64_t all = trainer.batches_per_epoch();
  ProgressText text{cat("epoch ", position.epoch), position.batch, all, ""};
  text.seconds_left = each * static_cast<double>(all - position.batch);
  for (const auto& [name, sum] : sums_)
    if (name != "samples") text.notes.push_back(cat(name, " ", number(sum / static_cast<double>(batches_))));
  const auto speed = text.notes.begin() + std::min<std::ptrdiff_t>(1, std::ssize(text.notes));
  text.notes.insert(speed, cat(number(samples_ * trainer.communicator().world_size() / elapsed), " samples/s"));
  if (const std::int64_t epochs = trainer.options().max_epochs; epochs > 0) {
    const std::int64_t left = (epochs - position.epoch) * all - position.batch;
    text.notes.push_back(clock_text(each * static_cast<double>(left)) + " in all");
  }
  return text;
}

std::string ProgressBar::plain_line(const ProgressText& progress) const {
  std::string text = cat(progress.label, ": ", progress.done, "/", progress.total);
  for (const auto& note : progress.notes) text += "  " + note;
  return cat(text, "  ", clock_text(progress.seconds_left), " left in epoch");
}

void ProgressBar::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  if (quiet_ || !trainer.communicator().is_main()) return;
  ++batches_;
  samples_ += static_cast<double>(trainer.shares().size);
  for (std::size_t i = 0; i < record.metrics.size(); ++i) {
    if (i >= sums_.size()) sums_.emplace_back(record.metrics[i].first, 0.0);
    sums_[i].second += record.metrics[i].second;
  }
  if (status_) {
    const std::lock_guard lock(mutex_);
    shown_ = progress(trainer);
  } else if (trainer.position().batch % trainer.options().log_every_n_steps == 0) {
    log::info(plain_line(progress(trainer)));
  }
}

void ProgressBar::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  status_.reset();
  if (!trainer.communicator().is_main()) return;
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

void ProgressBar::on_fit_end(Trainer&) {
  status_.reset();
}

}  // namespace isnet
