#include "distributed/bootstrap.h"

#include <ATen/Parallel.h>
#include <mpi.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/cores.h"
#include "base/error.h"
#include "base/launcher.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/threads.h"
#include "distributed/failures.h"
#include "distributed/heartbeat.h"
#include "distributed/interfaces.h"
#include "distributed/mpi_leftovers.h"
#include "distributed/sockets.h"

namespace isnet {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t most_interfaces = 16;

// What ranks exchange before they meet.
struct HostRecord {
  char name[256] = {};
  std::uint32_t count = 0;
  std::array<Interface, most_interfaces> interfaces{};
};

// What rank 0 broadcasts. A non-empty problem is the same error on every rank.
struct MeetingPlace {
  char address[64] = {};
  char token[40] = {};
  char problem[512] = {};
  std::int32_t port = 0;
  ErrorKind kind = ErrorKind::communication;
};

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t n = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (n < 0 && errno != EINTR) fail(ErrorKind::runtime, "no random bytes: ", std::strerror(errno));
    if (n > 0) filled += static_cast<std::size_t>(n);
  }
  static constexpr char digits[] = "0123456789abcdef";
  std::string token;
  for (const unsigned char byte : bytes) {
    token += digits[byte >> 4];
    token += digits[byte & 15];
  }
  return token;
}

// GLOO_SOCKET_IFNAME's first name, or "".
std::string wanted_interface() {
  const std::string names = environment("GLOO_SOCKET_IFNAME");
  return names.substr(0, names.find(','));
}

std::vector<Host> exchange_hosts(const std::string& name, int world_size) {
  HostRecord mine;
  std::strncpy(mine.name, name.c_str(), sizeof mine.name - 1);
  for (const auto& one : local_interfaces())
    if (!one.loopback() && mine.count < most_interfaces) mine.interfaces[mine.count++] = one;
  std::vector<HostRecord> records(static_cast<std::size_t>(world_size));
  MPI_Allgather(&mine, sizeof mine, MPI_BYTE, records.data(), sizeof mine, MPI_BYTE, MPI_COMM_WORLD);
  std::vector<Host> hosts;
  for (const auto& record : records)
    hosts.push_back({record.name, {record.interfaces.begin(), record.interfaces.begin() + record.count}});
  return hosts;
}

Interface named_interface(const std::string& name, const std::string& host) {
  std::string known;
  for (const auto& one : local_interfaces()) {
    if (name == one.name) return one;
    known += cat(known.empty() ? "" : ", ", one.name);
  }
  fail(ErrorKind::usage, "GLOO_SOCKET_IFNAME: host ", host, " has no interface '", name,
       "' that is up; it has ", known);
}

// This rank's interface on the network of the run. Collective; alike on all ranks but for GLOO_SOCKET_IFNAME.
Interface choose_interface(int rank, int world_size, int local_size, const std::vector<Host>& hosts) {
  const std::string& host = hosts[static_cast<std::size_t>(rank)].name;
  if (const std::string name = wanted_interface(); !name.empty()) return named_interface(name, host);
  if (local_size == world_size) {
    for (const auto& one : local_interfaces())
      if (one.loopback()) return one;
    fail(ErrorKind::communication, "host ", host,
         " has no loopback interface that is up: set GLOO_SOCKET_IFNAME");
  }
  const auto chosen = shared_network(hosts);
  if (chosen.empty())
    fail(ErrorKind::communication,
         "no IPv4 network is shared by all hosts of the run: set GLOO_SOCKET_IFNAME on every host to the "
         "interface that reaches the others (mpirun -x GLOO_SOCKET_IFNAME=eth0)");
  const auto self = static_cast<std::size_t>(rank);
  return hosts[self].interfaces[chosen[self]];
}

// This rank's share of the cores that the ranks of its host may use: right with and without binding, in
// containers, and inside a Slurm job that owns a part of the host. Collective over `local`.
int own_share_of_cores(MPI_Comm local, int local_rank, int local_size) {
  const CoreAllowance own = core_allowance();
  std::vector<CoreAllowance> all(static_cast<std::size_t>(local_size));
  MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, local);
  return whole_cores(share_of_cores(all, static_cast<std::size_t>(local_rank)));
}

// Every rank may have connections to all others, twice with --sync-batchnorm; rank 0 also those of the store
// and of the heartbeat.
void check_open_files(const std::string& rank, int world_size, bool one_host) {
  constexpr std::uint64_t files = 256;  // of data, libraries and the run folder
  const std::uint64_t needed = files + static_cast<std::uint64_t>(world_size) * (one_host ? 2 : 4);
  const std::uint64_t allowed = raise_open_files_limit();
  if (allowed >= needed) return;
  fail(ErrorKind::usage, rank, " may open ", allowed, " files and sockets; ", world_size, " ranks need ",
       needed, ": raise the hard limit there (ulimit -Hn; LimitNOFILE of the service that starts the ranks)");
}

// Ends the process when MPI does not connect the ranks: it would wait for ever, without a word.
class StartWatch {
 public:
  StartWatch(std::chrono::milliseconds patience, int rank, int size, const std::string& host)
      : thread_([this, patience, rank, size, host] {
          std::unique_lock lock(mutex_);
          if (over_.wait_for(lock, patience, [this] { return done_; })) return;
          log::error(
              cat("rank ", rank, " of ", size, " on ", host, ": MPI has not connected the ranks within ",
                  std::chrono::duration_cast<std::chrono::seconds>(patience).count(),
                  " s; a firewall between the hosts, or the wrong network (launch/run.sh --interface, or "
                  "--mca btl_tcp_if_include)"));
          lock.unlock();
          abort_world(1);
        }) {}
  ~StartWatch() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    over_.notify_all();
    thread_.join();
  }
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::thread thread_;
};

// Waits until `done`, or until `patience` is over, and says so; then for a checkpoint that rank 0 still
// writes, within --save-timeout: who ends first ends all. Returns whether it is done.
template <typename Done, typename Late>
bool wait_for(const Done& done, milliseconds patience, const Late& say_late) {
  const auto due = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    const auto late = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - due);
    if (late >= milliseconds(0)) {
      say_late();
      if (!heartbeat::main_rank_saves(late)) return false;
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

// Threads of a rank besides those that compute: MPI's, the heartbeat, readers, the writer of checkpoints.
constexpr int other_threads = 4;

bool mpi_is_up() {
  int started = 0, ended = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&ended);
  return started && !ended;
}

}  // namespace

World::World(const WorldOptions& options) : launched_(started_by_mpi_launcher()) {
  host_ = host_name();
  require_threads(other_threads);
  if (launched_) init_mpi();
  if (size_ > 1) {
    const Progress waiting("waiting for the other ranks", 0, "", rank_ == 0);
    const StartWatch watch(options.startup_timeout, rank_, size_, host_);
    place_among_local_ranks();
    meet(options.master_port);
  } else {
    hosts_ = {host_};
    if (launched_)
      place_among_local_ranks();
    else
      cores_ = available_cores();
  }
  choose_threads(options.threads);
}

World::~World() {
  if (listening_socket_ >= 0) ::close(listening_socket_);
}

void World::init_mpi() {
  int provided = 0;
  if (!mpi_is_up()) MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  // MPI that cannot talk to its launcher takes this process for the only one.
  if (const int told = processes_by_launcher(); told > size_)
    isnet::fail(
        ErrorKind::usage, "mpirun started ", told, " processes, but MPI connects only ", size_,
        " of them: start them with the mpirun of the Open MPI that isnet was built with (launch/run.sh, "
        "ISNET_MPIRUN)");
}

void World::place_among_local_ranks() {
  MPI_Comm local = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &local_rank_);
  MPI_Comm_size(local, &local_size_);
  cores_ = own_share_of_cores(local, local_rank_, local_size_);
  unname_mpi_segment(local, local_rank_);
  if (local_rank_ == 0) remove_stale_mpi_sessions();
  MPI_Comm_free(&local);
}

void World::meet(int master_port) {
  MeetingPlace place;
  const auto hosts = exchange_hosts(host_, size_);
  for (const auto& one : hosts) hosts_.push_back(one.name);
  try {
    const Interface mine = choose_interface(rank_, size_, local_size_, hosts);
    rendezvous_.interface = mine.name;
    rendezvous_.own_address = address_text(mine.address);
    check_open_files(cat("rank ", rank_, " on ", host_), size_, local_size_ == size_);
    if (is_main()) {
      int port = master_port;
      rendezvous_.address = address_text(mine.address);
      listening_socket_ = listen_on(rendezvous_.address, port).release();
      place.port = port;
      std::strncpy(place.address, rendezvous_.address.c_str(), sizeof place.address - 1);
      std::strncpy(place.token, random_token().c_str(), sizeof place.token - 1);
    }
  } catch (const Error& e) {
    place.kind = e.kind();
    std::strncpy(place.problem, e.what(), sizeof place.problem - 1);
  }
  const MeetingPlace own = place;
  MPI_Bcast(&place, sizeof place, MPI_BYTE, 0, MPI_COMM_WORLD);
  for (const auto& one : {place, own})
    if (one.problem[0]) throw Error(one.kind, one.problem);
  rendezvous_.address = place.address;
  rendezvous_.port = static_cast<std::uint16_t>(place.port);
  rendezvous_.token = place.token;
}

void World::choose_threads(int threads) const {
  if (threads > 0)
    at::set_num_threads(threads);
  else if (environment("OMP_NUM_THREADS").empty())
    at::set_num_threads(launched_ ? cores_ : std::min(cores_, at::get_num_threads()));
  // OpenMP ends a process that gets fewer.
  require_threads(at::get_num_threads() + other_threads);
}

int World::take_listening_socket() {
  if (listening_socket_ < 0)
    throw std::logic_error("the listening socket is rank 0's, and was given away already");
  return std::exchange(listening_socket_, -1);
}

int World::finish(int status, std::chrono::milliseconds patience) {
  return end(status, "", patience);
}

int World::end(int status, const std::string& message, std::chrono::milliseconds patience) {
  bool said = message.empty();
  const auto say = [&] {
    if (std::exchange(said, true)) return;
    log::error(message);
    heartbeat::said();
  };
  if (!mpi_is_up()) return say(), status;
  if (!heartbeat::told()) {
    if (status == 0 || status == exit_status_stopped)
      heartbeat::leave();
    else
      heartbeat::report(status, message, false);
  }
  int rank = 0, size = 1, complete = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank == 0) say();
  struct Outcome {
    std::int32_t status;
    std::uint32_t message;
  };
  const Outcome own{status, static_cast<std::uint32_t>(std::hash<std::string>()(message))};
  std::vector<Outcome> all(static_cast<std::size_t>(size));
  // Polled, since a collective that waits would never notice that a rank is gone.
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Iallgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, MPI_COMM_WORLD, &request);
  const auto all_have_come = [&] { return MPI_Test(&request, &complete, MPI_STATUS_IGNORE), complete != 0; };
  if (!wait_for(all_have_come, patience, say)) {
    if (status == 0) log::error("this rank timed out waiting for the others to end");
    abort_world(status == 0 ? 1 : status);
  }
  // What several ranks say alike is said by the first of them.
  const auto same = [&](const Outcome& one) { return one.message == own.message; };
  if (std::find_if(all.begin(), all.end(), same) - all.begin() == rank) say();
  heartbeat::stop();
  rename_mpi_segment();
  MPI_Finalize();
  return std::max_element(all.begin(), all.end(),
                          [](const auto& a, const auto& b) { return a.status < b.status; })
      ->status;
}

int World::fail(const Failure& failure) {
  const bool secondary = is_communication_failure(failure.error);
  heartbeat::report(failure.status, failure.message, secondary);
  if (!secondary || !heartbeat::runs()) return end(failure.status, failure.message, failure_patience);
  const auto ending = heartbeat::explanation(failure.status);
  if (!ending.explained) return end(failure.status, failure.message, failure_patience);
  if (!ending.alone) return fail(ending.status);
  // Rank 0 ends all ranks when it is done.
  int rank = 0;
  if (mpi_is_up()) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  wait_for([] { return false; }, milliseconds(rank == 0 ? 0 : 4000), [] {});
  abort_world(ending.status);
}

void World::report(const std::exception& error) {
  const Failure failure = failure_of(error);
  heartbeat::report(failure.status, failure.message, is_communication_failure(error));
}

void abort_world(int status) {
  static std::atomic<bool> ending{false};
  if (ending.exchange(true))
    for (;;) ::pause();  // another thread is at it
  try {
    std::thread([status] {
      std::this_thread::sleep_for(std::chrono::seconds(10));
      ::_exit(status);
    }).detach();
  } catch (const std::system_error&) {
    log::flush();
    ::_exit(status);  // no thread to watch over MPI_Abort: the launcher ends the others
  }
  log::flush();
  if (mpi_is_up()) MPI_Abort(MPI_COMM_WORLD, status);
  ::_exit(status);
}

}  // namespace isnet
