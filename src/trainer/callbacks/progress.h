// What a person sees of a run: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "trainer/callback.h"

namespace isnet {

/// Main rank only; to stderr. Shows epoch, batch, losses (running means of this rank), speed over all ranks,
/// and the time left.
class ProgressBar : public Callback {
 public:
  ProgressBar(bool terminal, bool quiet) : terminal_(terminal), quiet_(quiet) {}
  void on_train_epoch_start(Trainer& trainer) override;
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_validation_start(Trainer& trainer) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const Trainer& trainer) const;
  void clear() const;

  bool terminal_, quiet_;
  Clock::time_point epoch_started_, fit_started_, shown_;
  std::int64_t first_batch_ = 0, batches_ = 0;
  double samples_ = 0;
  std::vector<std::pair<std::string, double>> sums_;
};

}  // namespace isnet
