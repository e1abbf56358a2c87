// Copies of a data set's shards in a folder of this host, to read them there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/checksums.h"
#include "data/data_set.h"

namespace isnet {

/// The part of this process among those of its host that stage the same data: files index, index + count, ….
struct StagingShare {
  int index = 0;
  int count = 1;
};

/// Copies a data set (folder or shard) to a folder of its own below `folder`: dataset.json and this share of
/// the shards of `splits`, as far as they are not there already: with the original's size and time of
/// modification, and with the bytes that were copied, which a checksum of a sample tells (of the whole file
/// with VerifyData::full). What was copied must have the checksum of dataset.json. Checksums are kept in a
/// folder beside the copies. Each file has its name only when it is whole. Returns where the data set is once
/// all shares are copied. What is there stays there: the next training uses it. Errors: runtime (no room, a
/// file that cannot be read or written); data.
std::filesystem::path stage_data(const DataSet& data, const std::vector<std::string>& splits,
                                 const std::filesystem::path& folder, const StagingShare& share = {},
                                 VerifyData verify = VerifyData::sample);

}  // namespace isnet
