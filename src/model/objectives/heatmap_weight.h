// P, the heatmap loss's share of the total: a number, or a table epoch → P.
#pragma once

#include <cstdint>
#include <string>

#include "base/epoch_table.h"
#include "base/options.h"

namespace isnet {

/// "0.7", or entries "0:0.1,5:0.5,10:0.7": P from that epoch on, epochs rising from 0.
OptionSpec heatmap_weight_option();

/// P in [0, 1] by epoch, as --heatmap-weight gives it.
class HeatmapWeight {
 public:
  /// Errors: usage (naming the entry).
  explicit HeatmapWeight(const std::string& text);

  double at(std::int64_t epoch) const { return table_.at(epoch); }
  /// The last entry's: that of an objective that is not training.
  double last() const { return table_.entries().back().second; }
  bool constant() const { return table_.entries().size() == 1; }

 private:
  EpochTable table_;
};

}  // namespace isnet
