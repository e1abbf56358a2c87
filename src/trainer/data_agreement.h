// Whether all ranks read the same bytes: shards of one name may differ between hosts, where copies went
// wrong.
#pragma once

#include <atomic>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "data/checksums.h"
#include "data/data_set.h"
#include "distributed/communicator.h"

namespace isnet {

/// Compares the shards of some splits across ranks. Ranks of one host that see the same files share the work;
/// where all ranks see the same files, a sample need not be read. With VerifyData::full every shard is read
/// as a whole and compared with dataset.json, too.
class DataAgreement {
 public:
  /// Collective. Starts a thread that reads, so that shards can be opened meanwhile. Errors, alike on all
  /// ranks: usage (dataset.json differs).
  DataAgreement(const Communicator& communicator, const DataSet& data, const std::vector<std::string>& splits,
                VerifyData mode);
  /// Stops reading.
  ~DataAgreement();
  DataAgreement(const DataAgreement&) = delete;
  DataAgreement& operator=(const DataAgreement&) = delete;

  /// Collective. Waits for the thread and compares. Errors, alike on all ranks: data (the shard, and the
  /// ranks and hosts whose bytes differ); on the rank that reads: FileFailure.
  void check();

 private:
  struct Shard {
    std::filesystem::path file;
    std::string listed;  ///< SHA-256 of dataset.json, or ""
  };
  void find_group(const Communicator& communicator);
  void read_share();
  std::string checksum(const Shard& shard, bool whole) const;
  [[noreturn]] void refuse(std::size_t shard) const;

  Communicator communicator_;
  VerifyData mode_;
  std::vector<Shard> shards_;
  SampleOfFile sample_;
  std::vector<std::string> hosts_;       // of all ranks, by rank
  std::vector<std::size_t> groups_;      // of all ranks, by rank: the first rank that sees the same files
  std::size_t place_ = 0, members_ = 1;  // of this rank in its group
  std::atomic<bool> stopped_{false};
  std::exception_ptr error_;
  std::string found_;  // a line for each shard of this rank's share: number and checksum
  std::thread thread_;
};

}  // namespace isnet
