// P, the heatmap loss's share of the total (rrr: its weight): a number, or a table epoch → P.
#pragma once

#include <cstdint>
#include <string>

#include "base/epoch_table.h"
#include "base/options.h"

namespace isnet {

/// "0.7", or entries "0:0.1,5:0.5,10:0.7": P from that epoch on, epochs rising from 0. Accepts any finite
/// number ≥ 0; an objective for which P is a share refuses those above 1.
OptionSpec heatmap_weight_option();

/// P by epoch, as --heatmap-weight gives it.
class HeatmapWeight {
 public:
  /// `largest`: the largest P that is allowed. Errors: usage (naming the entry).
  explicit HeatmapWeight(const std::string& text, double largest = 1);

  double at(std::int64_t epoch) const { return table_.at(epoch); }
  /// The last entry's: that of an objective that is not training.
  double last() const { return table_.entries().back().second; }
  bool constant() const { return table_.entries().size() == 1; }

 private:
  EpochTable table_;
};

}  // namespace isnet
