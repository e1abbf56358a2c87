// How many batches make an optimiser step: a number, or one that changes at epochs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/epoch_table.h"
#include "base/options.h"

namespace isnet {

/// Lightning's accumulate_grad_batches and GradientAccumulationScheduler.
class Accumulation {
 public:
  explicit Accumulation(std::int64_t batches = 1) : table_(static_cast<double>(batches)) {}
  /// "4", or "0:8,4:4": that many from those epochs on. Errors: usage.
  explicit Accumulation(const std::string& text);

  /// Batches of a step in this epoch. The last step of an epoch takes what is left.
  std::int64_t at(std::int64_t epoch) const { return static_cast<std::int64_t>(table_.at(epoch)); }
  /// The largest number that divides those of every epoch.
  std::int64_t common_divisor() const;
  /// Epochs at which the number changes, 0 first.
  std::vector<std::int64_t> changes() const;
  /// Steps of the epochs before this one, of `batches` batches each.
  std::int64_t steps_before(std::int64_t epoch, std::int64_t batches) const;
  /// The epoch in which a run of that many steps ends, counted from 1.
  std::int64_t epochs_of(std::int64_t steps, std::int64_t batches) const;

 private:
  EpochTable table_;
};

/// --accumulate-grad-batches
OptionSpec accumulation_option();

}  // namespace isnet
