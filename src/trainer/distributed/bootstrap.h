// Where this process stands among the ranks of a run, and how they find each other.
//
// MPI brings the ranks up, tells each its place, and carries a few bytes at the start (interfaces, one
// broadcast of rank 0's address, port and job token) and at the end (a barrier). Training traffic is c10d's
// (process_group.h). A process that no launcher started is a world of one and never touches MPI.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace isnet {

/// How a World starts: --master-port, --threads.
struct WorldOptions {
  int master_port = 0;  ///< TCP port for the rendezvous on rank 0; 0: any free one
  int threads = 0;  ///< threads per rank; 0: OMP_NUM_THREADS, else this rank's share of the machine's cores
};

/// Where the ranks meet: what rank 0 broadcasts at the start.
struct Rendezvous {
  std::string address;  ///< IPv4 address of rank 0 on the network that connects all ranks
  std::uint16_t port = 0;
  std::string token;      ///< random, of this run only: keeps strangers and stale ranks apart
  std::string interface;  ///< of this rank on that network, e.g. "eth0"; "lo" on a single host
};

/// The ranks of this run. One for each process, made before threads are started, and kept until the end.
/// Not thread-safe.
class World {
 public:
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
  /// Whether a launcher (mpirun, srun) started this process.
  bool launched() const { return launched_; }
  const std::string& host() const { return host_; }
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
  /// with the largest status; otherwise this rank's status ends them all, without a return.
  [[nodiscard]] static int fail(int status, std::chrono::milliseconds patience = std::chrono::seconds(2)) {
    return finish(status, patience);
  }

 private:
  void place_from_mpi();
  void meet(int master_port);
  void choose_threads(int threads) const;

  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  bool launched_ = false;
  int core_share_ = 1;
  int listening_socket_ = -1;
  std::string host_;
  Rendezvous rendezvous_;
};

/// Ends this process and, under a launcher, all ranks with this status: MPI_Abort, else _exit. Runs no
/// destructors, so that nothing waits for a rank that is gone. Safe before and after the life of a World.
[[noreturn]] void abort_world(int status);

}  // namespace isnet
