#include "trainer/data_agreement.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/launcher.h"

namespace isnet {
namespace {

// What tells a file from another one on the same host.
std::string identity_text(const std::filesystem::path& file) {
  struct stat state{};
  if (::stat(file.c_str(), &state) != 0) return "missing";  // opening it will say so
  return cat(state.st_dev, ' ', state.st_ino, ' ', state.st_size, ' ', state.st_mtim.tv_sec, ' ',
             state.st_mtim.tv_nsec);
}

}  // namespace

DataAgreement::DataAgreement(const Communicator& communicator, const DataSet& data,
                             const std::vector<std::string>& splits, VerifyData mode)
    : communicator_(communicator), mode_(mode) {
  if (mode == VerifyData::nothing) return;
  std::string list;
  for (const auto& split : splits) {
    const auto files = data.shard_files(split);
    const auto& entries = data.shard_entries(split);
    for (std::size_t i = 0; i < files.size(); ++i) {
      shards_.push_back({files[i], entries[i].sha256});
      list += cat(i == 0 ? "" : "\n", split, " ", entries[i].file, " ", entries[i].sha256);
    }
  }
  check_same_on_all_ranks(communicator, {{"data set", list}});
  sample_ = sample_for(shards_.size());
  find_group(communicator);
  const bool alone = std::all_of(groups_.begin(), groups_.end(), [](auto first) { return first == 0; });
  if (mode == VerifyData::sample && alone) return;
  thread_ = std::thread([this] { read_share(); });
}

DataAgreement::~DataAgreement() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
}

void DataAgreement::find_group(const Communicator& communicator) {
  std::string files;
  for (const auto& shard : shards_) files += identity_text(shard.file) + "\n";
  const std::string host = host_name();
  const auto all = communicator.all_gather(cat(sha256(cat(host, "\n", files)), " ", host));
  const auto self = static_cast<std::size_t>(communicator.rank());
  members_ = 0;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    hosts_.push_back(all[rank].substr(all[rank].find(' ') + 1));
    groups_.push_back(static_cast<std::size_t>(std::find(all.begin(), all.end(), all[rank]) - all.begin()));
    if (all[rank] != all[self]) continue;
    if (rank < self) ++place_;
    ++members_;
  }
}

std::string DataAgreement::checksum(const Shard& shard, bool whole) const {
  return whole ? sha256_of_file(shard.file) : sampled_checksum(shard.file, sample_);
}

void DataAgreement::read_share() {
  try {
    for (std::size_t i = place_; i < shards_.size() && !stopped_; i += members_)
      found_ += cat(i, ' ', checksum(shards_[i], mode_ == VerifyData::full), '\n');
  } catch (...) {  // handed to check()
    error_ = std::current_exception();
  }
}

void DataAgreement::check() {
  if (!thread_.joinable()) return;
  const Progress waiting("comparing the shards of all ranks", 0, "", communicator_.is_main());
  thread_.join();
  if (error_) std::rethrow_exception(error_);
  std::map<std::size_t, std::string> first;  // by shard
  for (const auto& text : communicator_.all_gather(found_)) {
    std::istringstream lines(text);
    std::size_t shard = 0;
    for (std::string sum; lines >> shard >> sum;) {
      const bool as_listed =
          mode_ != VerifyData::full || shards_.at(shard).listed.empty() || shards_.at(shard).listed == sum;
      if (!as_listed || first.emplace(shard, sum).first->second != sum) refuse(shard);
    }
  }
}

// Each group's first rank reads the shard as a whole, to say whose bytes are others.
void DataAgreement::refuse(std::size_t shard) const {
  const auto self = static_cast<std::size_t>(communicator_.rank());
  const Shard& one = shards_.at(shard);
  const auto sums = communicator_.all_gather(groups_[self] == self ? checksum(one, true) : "");
  const std::string& right = one.listed.empty() ? sums.front() : one.listed;
  std::string same, other;
  for (std::size_t rank = 0; rank < sums.size(); ++rank) {
    std::string& list = sums[groups_[rank]] == right ? same : other;
    if (list.size() < 200) list += cat(list.empty() ? "" : ", ", "rank ", rank, " on ", hosts_[rank]);
  }
  const std::string where = one.file.string();
  if (one.listed.empty())
    fail(ErrorKind::data, where, ": read with other bytes by ", other, " than by ", same,
         ": copy the shard to all hosts again");
  fail(ErrorKind::data, where, ": its bytes do not have the checksum of dataset.json as read by ", other,
       same.empty() ? "" : cat(" (they do as read by ", same, ")"), ": copy the data set there again");
}

}  // namespace isnet
