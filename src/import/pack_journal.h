// What an interrupted `pack` has finished: OUTPUT/.pack, removed at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "import/pack.h"
#include "import/pack_plan.h"

namespace isnet {

/// The record of a finished shard.
struct ShardRecord {
  std::string sources;  ///< checksum over names, sizes and times of its files
  std::int64_t samples = 0;
  std::string sha256;  ///< "" where no sample was left
  SplitReport report;
  std::vector<std::string> contents;  ///< of each item: checksum of its decoded pixels, "" if bad
  std::vector<std::pair<std::size_t, std::string>> bad;  ///< place among the items, and error
  std::vector<PictureNote> notes;
};

class PackJournal {
 public:
  PackJournal(std::filesystem::path output, std::string fingerprint)
      : output_(std::move(output)), folder_(output_ / ".pack"), fingerprint_(std::move(fingerprint)) {}

  /// Makes the folder ready: removes what `overwrite` allows to, refuses what it does not, leaves finished
  /// shards of the same plan. One rank calls it. Errors: usage, data (a damaged plan), runtime.
  void open(const PackPlan& plan, bool overwrite) const;

  /// The record of a shard, if it is finished, of these sources, and its file has the checksum.
  std::optional<ShardRecord> finished(const PlannedShard& shard, const std::string& sources) const;
  /// The record alone. Errors: data (file and field), runtime.
  ShardRecord record(const PlannedShard& shard) const;
  void store(const PlannedShard& shard, const ShardRecord& record) const;

  /// Once dataset.json is written.
  void remove() const;

 private:
  std::filesystem::path record_file(const PlannedShard& shard) const;
  void clear_data_set(bool overwrite) const;

  std::filesystem::path output_, folder_;
  std::string fingerprint_;
};

/// Checksum over names, sizes and times of a shard's files.
std::string sources_of(const PlannedShard& shard, const Listing& listing);

}  // namespace isnet
