// Numbers of samples, computed by whichever rank has the sample.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "distributed/communicator.h"

namespace isnet {

/// Collects rows of numbers by sample, each rank its own samples, and brings them together on every rank.
class SampleRows {
 public:
  /// Numbers of each row, ≥ 1.
  explicit SampleRows(std::size_t width) : width_(width) {}

  std::size_t width() const { return width_; }

  /// Errors: internal (another width).
  void add(std::int64_t sample, std::span<const double> row);

  /// Calls `each` for every sample below `samples` that any rank has added, in ascending order, on every
  /// rank. Takes bounded memory besides the rows. Collective. Errors: internal (a sample that was added
  /// twice).
  void gather(std::int64_t samples, const Communicator& communicator,
              const std::function<void(std::int64_t sample, std::span<const double> row)>& each) const;

 private:
  std::size_t width_;
  std::vector<std::int64_t> samples_;
  std::vector<double> rows_;
};

}  // namespace isnet
