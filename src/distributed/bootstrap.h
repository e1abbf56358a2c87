// Where this process stands among the ranks of a run, and how they find each other.
//
// MPI brings the ranks up, tells each its place, and carries a few bytes at the start (interfaces, one
// broadcast of rank 0's address, port and job token) and at the end (a barrier). Training traffic is c10d's
// (process_group.h). A process that no launcher started is a world of one and never touches MPI.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/failure.h"

namespace isnet {

/// How a World starts: --master-port, --threads, --startup-timeout.
struct WorldOptions {
  int master_port = 0;  ///< TCP port for the rendezvous on rank 0; 0: any free one
  int threads = 0;      ///< threads per rank; 0: OMP_NUM_THREADS, else this rank's share of the host's cores
  std::chrono::milliseconds startup_timeout{120'000};  ///< for what ranks say to each other through MPI
};

/// The place where the ranks meet: what rank 0 broadcasts at the start.
struct Rendezvous {
  std::string address;      ///< IPv4 address of rank 0 on the network that connects all ranks
  std::string own_address;  ///< this rank's on that network
  std::uint16_t port = 0;
  std::string token;      ///< random, of this run only: keeps strangers and stale ranks apart
  std::string interface;  ///< of this rank on that network, e.g. "eth0"; "lo" on a single host
};

/// The ranks of this run. One for each process, made before threads are started, and kept until the end.
/// Not thread-safe.
class World {
 public:
  /// How long ranks that failed wait for a common end.
  static constexpr std::chrono::milliseconds failure_patience{2000};

  /// Collective. Errors, alike on all ranks: communication (port taken, no common network), usage (a launcher
  /// that cannot start MPI programs, an unknown GLOO_SOCKET_IFNAME).
  explicit World(const WorldOptions& options = {});
  /// Does not wait for anybody: an exception may be under way. Call finish() or fail() to end a world.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }  ///< among the ranks of this host
  int local_size() const { return local_size_; }
  bool is_main() const { return rank_ == 0; }
  /// Whole cores for this rank: its share of those that the ranks of this host may use (base/cores.h).
  int cores() const { return cores_; }
  /// Whether a launcher (mpirun, srun) started this process.
  bool launched() const { return launched_; }
  const std::string& host() const { return host_; }
  /// The hosts of all ranks, by rank.
  const std::vector<std::string>& hosts() const { return hosts_; }
  /// Only for more than one rank.
  const Rendezvous& rendezvous() const { return rendezvous_; }

  /// The bound and listening socket of the rendezvous, given away: rank 0's TCPStore owns it then. Once.
  int take_listening_socket();

  /// Collective, the planned end, after the last write: waits for all ranks, ends MPI and returns the largest
  /// of their statuses, for main to return. Errors: none; when a rank does not come within `patience`, all
  /// are ended with this one's status (1 if that is 0). Needs no World, so that main can call it for errors
  /// of a constructor.
  [[nodiscard]] static int finish(int status, std::chrono::milliseconds patience = std::chrono::minutes(5));

  /// The end after an error. When all ranks failed alike (and call this within `patience`) they end together
  /// with the largest status; otherwise this rank's status ends them all, without a return: once a checkpoint
  /// that rank 0 is writing is done, or after --save-timeout.
  [[nodiscard]] static int fail(int status, std::chrono::milliseconds patience = failure_patience) {
    return finish(status, patience);
  }
  /// The same, with what main would say about it. One rank says it: errors that all ranks share are reported
  /// by rank 0, one that another rank's end has caused is left to the message that names that rank.
  [[nodiscard]] static int fail(const Failure& failure);
  /// Tells the other ranks at once that this one ends with an error, while its objects clean up: they know
  /// then whose end has broken their exchanges. fail() still has to follow.
  static void report(const std::exception& error);

 private:
  static int end(int status, const std::string& message, std::chrono::milliseconds patience);
  void init_mpi();
  void place_among_local_ranks();
  void meet(int master_port);
  void choose_threads(int threads) const;

  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::vector<std::string> hosts_;
  bool launched_ = false;
  int cores_ = 1;
  int listening_socket_ = -1;
  std::string host_;
  Rendezvous rendezvous_;
};

/// Ends this process and, under a launcher, all ranks with this status: MPI_Abort, else _exit, and that after
/// 10 s in any case. Runs no destructors, so that nothing waits for a rank that is gone. Safe before and
/// after the life of a World, and from any thread.
[[noreturn]] void abort_world(int status);

}  // namespace isnet
