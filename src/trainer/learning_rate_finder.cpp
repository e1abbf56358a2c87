#include "trainer/learning_rate_finder.h"

#include <algorithm>
#include <cmath>

#include "trainer/trainer.h"

namespace isnet {
namespace {

constexpr double decay = 0.98;
constexpr std::size_t skipped = 10;

}  // namespace

LearningRate range_test_rate(const RangeTestOptions& options) {
  return LearningRate([options](const ScheduleOptions&, const Progress& progress) {
    const double share = static_cast<double>(progress.step) / static_cast<double>(options.steps);
    return options.min_rate * std::pow(options.max_rate / options.min_rate, share);
  });
}

bool LearningRateFinder::add(double rate, double loss) {
  if (!std::isfinite(loss)) return false;
  running_ = decay * running_ + (1 - decay) * loss;
  const double smoothed = running_ / (1 - std::pow(decay, static_cast<double>(losses_.size() + 1)));
  rates_.push_back(rate);
  losses_.push_back(smoothed);
  if (losses_.size() == 1 || smoothed < best_) best_ = smoothed;
  return losses_.size() == 1 || smoothed <= options_.stop_factor * best_;
}

void LearningRateFinder::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  const std::int64_t batch = trainer.position().batch;
  if (batch % trainer.accumulated_batches() != 0 && batch != trainer.batches_per_epoch()) return;
  if (record.overflowed) return;
  const double loss = metric(record.sums.reduced(trainer.communicator()), "loss");
  if (!record.optimizer_stepped || !add(record.learning_rate, loss)) trainer.stop();
}

std::optional<std::size_t> LearningRateFinder::steepest() const {
  if (losses_.size() < skipped + 3) return std::nullopt;
  const std::size_t first = skipped, last = losses_.size() - 2;
  std::size_t best = first;
  double least = 0;
  for (std::size_t i = first; i <= last; ++i) {
    // numpy.gradient: central differences, one-sided at the ends.
    const std::size_t left = i == first ? i : i - 1, right = i == last ? i : i + 1;
    const double slope = (losses_[right] - losses_[left]) / static_cast<double>(right - left);
    if (i == first || slope < least) {
      least = slope;
      best = i;
    }
  }
  return best;
}

}  // namespace isnet
