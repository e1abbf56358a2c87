// What a trainer says to the other ranks besides gradients: metrics, decisions, short texts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "distributed/facts.h"
#include "distributed/process_group.h"

namespace isnet {

/// Collectives over all ranks. Copies share the process group. In a world of one everything returns at once.
/// Every function but the getters is collective: all ranks call it, in the same order, from one thread at a
/// time. Errors: communication (rank, operation, cause), when a rank is gone or the time-out has passed.
class Communicator {
 public:
  /// A world of one.
  Communicator();
  /// Connects the ranks. The world has to outlive neither this nor the process group. Errors as
  /// meet() and make_process_group().
  Communicator(World& world, const ProcessGroupOptions& options);

  int rank() const { return rank_; }
  int world_size() const { return world_size_; }
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  bool is_main() const { return rank_ == 0; }
  const std::string& backend() const { return backend_; }  ///< "none" in a world of one

  /// Element by element the sum over ranks, the same bits on every rank. Lengths must be equal.
  void all_reduce_sum(std::vector<double>& values) const;
  double sum(double value) const;
  std::int64_t maximum(std::int64_t value) const;
  std::int64_t minimum(std::int64_t value) const;
  /// Whether it holds on at least one rank: for stop decisions.
  bool any(bool value) const { return maximum(value ? 1 : 0) != 0; }
  bool all(bool value) const { return minimum(value ? 1 : 0) != 0; }

  /// The bytes of rank `root`, on every rank.
  void broadcast(std::string& bytes, int root = 0) const;
  /// Every rank's text, by rank. For kilobytes, not for data.
  std::vector<std::string> all_gather(const std::string& text) const;
  void barrier() const;

  /// For DistributedDataParallel and collectives of your own; nullptr in a world of one.
  c10::intrusive_ptr<c10d::ProcessGroup> process_group() const;
  /// Another group of all ranks, with connections of its own: for collectives whose order has nothing to do
  /// with that of the others. Collective; nullptr in a world of one. Errors as make_process_group().
  c10::intrusive_ptr<c10d::ProcessGroup> new_process_group() const;

 private:
  struct Group;
  int rank_ = 0, world_size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::string backend_ = "none";
  std::shared_ptr<Group> group_;
};

/// Compares every rank's facts with rank 0's. Collective. Errors, alike on all ranks: usage, naming the ranks
/// that differ and the first difference (for texts of several lines, the first line that differs).
void check_same_on_all_ranks(const Communicator& communicator, const std::vector<Fact>& facts);

}  // namespace isnet
