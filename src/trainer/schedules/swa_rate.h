// The learning rate while weights are averaged over epochs (--average swa): torch.optim.swa_utils.SWALR.
#pragma once

#include <cstdint>
#include <vector>

#include "base/options.h"

namespace isnet {

/// --swa-lr, --swa-anneal-epochs, --swa-anneal
std::vector<OptionSpec> swa_rate_options();

/// --swa-start as an epoch: a share of --max-epochs, or a number. Errors: usage.
std::int64_t swa_start_epoch(const OptionValues& options);

/// From the schedule's rate to a rate of its own.
class SwaRate {
 public:
  /// Errors: usage (--swa-lr without --average swa, or with reduce-on-plateau).
  explicit SwaRate(const OptionValues& options);
  std::int64_t start_epoch() const { return start_epoch_; }
  /// `epochs` after the start; `from`: the schedule's rate there.
  double at(std::int64_t epochs, double from) const;

 private:
  std::int64_t start_epoch_;
  double rate_;
  std::int64_t anneal_epochs_;
  bool cosine_;
};

}  // namespace isnet
