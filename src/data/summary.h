// What is in a data set, in numbers: for `isnet inspect`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/data_set.h"

namespace isnet {

/// Figures of one split. Pixel figures are over all pixels and channels of the samples looked at, values in
/// the range that networks see (integers scaled to 0 … 1).
struct SplitSummary {
  std::string name;
  SampleLayout layout;
  std::int64_t samples = 0;
  std::vector<std::filesystem::path> shards;
  std::vector<std::int64_t>
      class_counts;            ///< samples of each class (multi-label: that have it); empty without labels
  std::int64_t looked_at = 0;  ///< samples whose pixels were read
  double mean = 0;
  double standard_deviation = 0;
  std::vector<double> channel_means;  ///< one for each stored channel: what --normalize takes
  std::vector<double> channel_deviations;
  double smallest = 0;
  double largest = 0;
  double mask_share = 0;                              ///< mean mask value; 0 without masks
  std::int64_t empty_masks = 0;                       ///< samples looked at with no mask value above 0
  std::map<std::int64_t, std::int64_t> group_counts;  ///< samples of each group; empty without groups
};

/// Reads up to `pixel_samples` samples, evenly spread (−1: every sample), and the labels of all.
/// Errors: data, for the first sample that is not valid.
SplitSummary summarise(const SplitReader& split, std::int64_t class_count, std::int64_t pixel_samples = -1);

/// Groups that have samples in more than one of the splits, in order. The splits S-biased, S-unbiased and
/// S-confounding of a mark count as one.
std::vector<std::int64_t> groups_in_several(const std::vector<SplitSummary>& summaries);

/// As lines for people. `class_names` may be empty.
std::string summary_text(const SplitSummary& summary, const std::vector<std::string>& class_names);

}  // namespace isnet
