// Which sample belongs to which split: as the layout says, else drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "import/importer.h"

namespace isnet {

/// A split, and its share of the samples that name no split.
struct SplitShare {
  std::string name;
  double share = 0;  ///< above 0; all add up to 1
};

/// "train=0.8,val=0.1,test=0.1". Errors: usage.
std::vector<SplitShare> parse_split_shares(const std::string& text);

/// The split of each item. Those that name one keep it; the others are drawn by (seed, Purpose::split,
/// number).
///
/// Without groups the draw is stratified: of each class (multi-label: of each combination of classes) every
/// split gets its share, rounded down or up; what rounding leaves over is made up for among later classes.
/// Samples of one group always come together, and go with a sample of the group that names its split; groups
/// are assigned whole, the largest first, to where they bring the classes' shares nearest to those requested.
/// Errors: data (a group in two splits by the layout's own word), usage (a share that gets no sample).
std::vector<std::string> assign_splits(const std::vector<ImportItem>& items,
                                       const std::vector<SplitShare>& shares, std::uint64_t seed);

}  // namespace isnet
