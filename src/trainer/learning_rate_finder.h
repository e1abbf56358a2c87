// The learning-rate range test (Smith, 2017), as Lightning's lr_find makes it.
#pragma once

#include <optional>
#include <vector>

#include "trainer/callback.h"
#include "trainer/schedules/schedule.h"

namespace isnet {

/// Length, range and end of a learning-rate range test.
struct RangeTestOptions {
  std::int64_t steps = 100;
  double min_rate = 1e-8, max_rate = 1;
  double stop_factor = 4;  ///< the test ends when the smoothed loss is this many times the best
};

/// A learning rate that rises by the same factor in each step, from min_rate to max_rate.
LearningRate range_test_rate(const RangeTestOptions& options);

/// Notes the loss of each step (of the global batch, smoothed: a running mean with decay 0.98, freed of its
/// start) and stops the training when it grows beyond reason, or is no longer finite.
class LearningRateFinder : public Callback {
 public:
  explicit LearningRateFinder(const RangeTestOptions& options) : options_(options) {}
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;

  /// Takes the loss of a step at this rate; false: the test is over.
  bool add(double rate, double loss);

  const std::vector<double>& rates() const { return rates_; }
  const std::vector<double>& losses() const { return losses_; }  ///< smoothed
  /// The place where the loss falls fastest, without the first ten and the last; nothing where fewer are left
  /// than two.
  std::optional<std::size_t> steepest() const;

 private:
  RangeTestOptions options_;
  std::vector<double> rates_, losses_;
  double running_ = 0, best_ = 0;
};

}  // namespace isnet
