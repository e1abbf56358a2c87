// What `pack` is going to write, before any pixel is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "import/pack.h"

namespace isnet {

enum class MarkUse { none, own, confounding };

/// A split to be written: the items of `from`, with a mark or without.
struct PlannedSplit {
  std::string name;
  std::string from;          ///< the split that its samples belong to: "test" of "test-biased"
  std::uint64_t number = 0;  ///< decides random draws
  MarkUse mark = MarkUse::none;
  std::vector<std::size_t> items;  ///< of the listing, in order
};

/// A shard to be written.
struct PlannedShard {
  std::size_t split = 0;  ///< of the plan
  std::string file;       ///< relative: "train/shard-00000.h5"
  std::vector<std::size_t> items;
};

struct PackPlan {
  std::vector<PlannedSplit> splits;
  std::vector<PlannedShard> shards;
  std::vector<std::int64_t> group_numbers;  ///< of each item; empty: no item names a group
  bool has_weights = false;
};

/// Errors: usage, data (see assign_splits; names of splits that file names should not have).
PackPlan make_plan(const Listing& listing, const PackOptions& options);

/// All that decides the bytes but the pictures: what a restart is compared with.
std::string plan_fingerprint(const Listing& listing, const PackPlan& plan, const PackOptions& options);

}  // namespace isnet
