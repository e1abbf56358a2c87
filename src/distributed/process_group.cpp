#include "distributed/process_group.h"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/activity.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/profile.h"
#include "distributed/facts.h"
#include "distributed/failures.h"
#include "distributed/heartbeat.h"
#include "distributed/shared_memory/group.h"
#include "distributed/shared_memory/ring.h"
#include "distributed/sockets.h"

namespace isnet {
namespace {

using c10d::ProcessGroup;

// Rank 0 can say who has not come, the others why they cannot: they get the time to say so first.
constexpr auto main_rank_waits_longer = std::chrono::seconds(10);

// While it lives, c10d does not warn that addresses have no names: clusters without reverse look-up are
// common, and the errors say it all. TORCH_CPP_LOG_LEVEL wins.
class QuietConnecting {
 public:
  QuietConnecting() {
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = 3;  // what is fatal
  }
  ~QuietConnecting() { FLAGS_caffe2_log_level = before_; }
  QuietConnecting(const QuietConnecting&) = delete;
  QuietConnecting& operator=(const QuietConnecting&) = delete;

 private:
  int before_ = FLAGS_caffe2_log_level;
};

c10::intrusive_ptr<c10d::Store> open_store(World& world, std::chrono::milliseconds patience) {
  const auto& place = world.rendezvous();
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.isServer = world.is_main();
  options.numWorkers = static_cast<std::size_t>(world.size());
  options.waitWorkers = false;
  options.timeout = patience;
  if (world.is_main()) options.masterListenFd = world.take_listening_socket();
  try {
    // The store's own attempts go on for a multiple of their time.
    if (!options.isServer) connect_to(place.address, place.port, patience);
    auto store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
    return c10::make_intrusive<c10d::PrefixStore>("isnet-" + place.token, std::move(store));
  } catch (const std::exception& e) {
    fail(ErrorKind::communication, "rank ", world.rank(), " on ", world.host(), " cannot reach rank 0 on ",
         world.hosts().front(), " at ", place.address, " port ", place.port, " over ", place.interface,
         " (a firewall, or the wrong interface: see GLOO_SOCKET_IFNAME): ", communication_failure_text(e));
  }
}

std::string rank_name(const World& world, int rank) {
  return cat("rank ", rank, " on ", world.hosts()[static_cast<std::size_t>(rank)]);
}

std::string missing_ranks(c10d::Store& store, const World& world, const std::vector<std::string>& keys) {
  std::string missing;
  try {
    for (int rank = 0; rank < world.size(); ++rank)
      if (!store.check({keys[static_cast<std::size_t>(rank)]}))
        missing += (missing.empty() ? "" : ", ") + rank_name(world, rank);
  } catch (const std::exception&) {
    return rank_name(world, 0) + " (its store does not answer)";
  }
  return missing.empty() ? "none, but the store does not answer in time" : missing;
}

// Ranks of other programs would misunderstand each other sooner or later.
void refuse_other_programs(c10d::Store& store, const std::vector<std::string>& checksums) {
  std::vector<std::size_t> others;
  for (std::size_t rank = 1; rank < checksums.size(); ++rank)
    if (checksums[rank] != checksums.front()) others.push_back(rank);
  if (others.empty()) return;
  const auto facts_of = [&](std::size_t rank) { return separated(store.get_to_str(cat("program/", rank))); };
  refuse_difference(others, facts_of(others.front()), facts_of(0));
}

// Every rank shows itself in the store, with its address and program, so that one that is missing can be
// named, and one that is another is refused.
std::vector<std::pair<std::string, std::string>> greet(c10d::Store& store, const World& world,
                                                       std::chrono::milliseconds patience) {
  std::vector<std::string> keys, checksums;
  for (int rank = 0; rank < world.size(); ++rank) keys.push_back(cat("here/", rank));
  std::vector<std::pair<std::string, std::string>> peers;
  try {
    const std::string program = joined(program_facts());
    store.set(cat("program/", world.rank()), program);
    store.set(keys[static_cast<std::size_t>(world.rank())],
              cat(world.rendezvous().own_address, " ", sha256(program)));
    store.wait(keys, world.is_main() ? patience + main_rank_waits_longer : patience);
    const auto shown = store.multiGet(keys);
    for (int rank = 0; rank < world.size(); ++rank) {
      const auto& bytes = shown.at(static_cast<std::size_t>(rank));
      const std::string text(bytes.begin(), bytes.end());
      peers.emplace_back(rank_name(world, rank), text.substr(0, text.find(' ')));
      checksums.push_back(text.substr(text.find(' ') + 1));
    }
  } catch (const std::exception& e) {
    const std::string missing = missing_ranks(store, world, keys);
    fail(ErrorKind::communication, rank_name(world, world.rank()),
         ": not all ranks have come to the rendezvous at ", world.rendezvous().address, " port ",
         world.rendezvous().port, " in time (--startup-timeout); missing: ", missing, ": ",
         communication_failure_text(e));
  }
  refuse_other_programs(store, checksums);
  return peers;
}

// The ranks of the host whose address a message of the library names.
std::string named_peers(const BackendPlace& place, const std::string& text) {
  std::string names;
  for (const auto& [name, address] : place.peers)
    if (text.find("[" + address + "]") != std::string::npos || text.find(address + ":") != std::string::npos)
      names += (names.empty() ? "" : ", ") + name;
  if (names.empty() && place.peers.size() == 2) return place.peers[place.rank == 0 ? 1 : 0].first;
  return names.empty() ? "another rank" : names;
}

// By shared memory where all ranks are on one host, else by Gloo.
c10::intrusive_ptr<c10d::Backend> connect_on_cpu(const BackendPlace& place) {
  if (place.local_size == place.world_size) {
    std::string why;
    if (auto backend = shared_memory::connect(place, why)) return backend;
    if (place.rank == 0)
      log::warning(cat("the ranks of this host exchange tensors over ", place.interface,
                       " (gloo), which takes longer than shared memory: ", why));
  }
  return process_group_backends().at("gloo").make(place);
}

ProcessGroup::BackendType backend_type(const std::string& name) {
  if (name == "gloo") return ProcessGroup::BackendType::GLOO;
  if (name == "nccl") return ProcessGroup::BackendType::NCCL;
  return ProcessGroup::BackendType::CUSTOM;
}

}  // namespace

Registry<BackendFactory>& process_group_backends() {
  static Registry<BackendFactory> registry("backend");
  return registry;
}

std::string resolve_backend(const ProcessGroupOptions& options) {
  const bool cuda = options.device == c10::DeviceType::CUDA;
  const auto names = process_group_backends().names();
  const bool has_nccl = std::find(names.begin(), names.end(), "nccl") != names.end();
  if (options.backend == "auto") return !cuda ? "auto" : has_nccl ? "nccl" : "gloo";
  if (options.backend == "nccl" && !has_nccl)
    fail(ErrorKind::usage, "--backend nccl: this build has no CUDA; use --backend gloo");
  if (options.backend == "nccl" && !cuda)
    fail(ErrorKind::usage, "--backend nccl carries CUDA tensors only; use --device cuda, or --backend gloo");
  if (options.backend == "shm" && cuda)
    fail(ErrorKind::usage, "--backend shm carries CPU tensors only; use --device cpu, or --backend nccl");
  process_group_backends().at(options.backend);
  return options.backend;
}

BackendPlace meet(World& world, const ProcessGroupOptions& options) {
  resolve_backend(options);
  BackendPlace place;
  place.rank = world.rank();
  place.world_size = world.size();
  place.local_rank = world.local_rank();
  place.local_size = world.local_size();
  place.host = world.host();
  place.timeout = options.timeout;
  place.startup_timeout = options.startup_timeout;
  if (world.size() == 1) return place;
  place.rings = std::make_shared<shared_memory::Rings>();
  const QuietConnecting quiet;
  place.interface = world.rendezvous().interface;
  place.store = open_store(world, options.startup_timeout);
  place.peers = greet(*place.store, world, options.startup_timeout);
  const auto& rendezvous = world.rendezvous();
  heartbeat::start(*place.store, {world.rank(), world.hosts(), rendezvous.address, rendezvous.token},
                   {options.heartbeat_interval, options.heartbeat_timeout, options.timeout,
                    options.startup_timeout, options.save_timeout});
  return place;
}

c10::intrusive_ptr<ProcessGroup> make_process_group(const BackendPlace& meeting, const std::string& name,
                                                    const ProcessGroupOptions& options) {
  if (!meeting.store) return nullptr;
  const std::string backend = resolve_backend(options);
  const QuietConnecting quiet;
  const auto store = c10::make_intrusive<c10d::PrefixStore>(name, meeting.store);
  auto group = c10::make_intrusive<ProcessGroup>(store, meeting.rank, meeting.world_size);
  const auto connect = [&](const std::string& kind) {
    BackendPlace place = meeting;
    place.store = c10::make_intrusive<c10d::PrefixStore>(kind, store);
    return kind == "auto" ? connect_on_cpu(place) : process_group_backends().at(kind).make(place);
  };
  try {
    const bool on_cpu = options.device == c10::DeviceType::CPU;
    const auto host = on_cpu || backend == "gloo" ? connect(backend) : connect("auto");
    group->setBackend(c10::DeviceType::CPU, backend_type(host->getBackendName()), host);
    if (!on_cpu)
      group->setBackend(options.device, backend_type(backend), backend == "gloo" ? host : connect(backend));
    group->setDefaultBackend(backend_type(on_cpu ? host->getBackendName() : backend));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    const std::string cause = communication_failure_text(e);
    fail(ErrorKind::communication, "rank ", meeting.rank, " on ", meeting.host, " cannot connect to ",
         named_peers(meeting, cause), " over ", meeting.interface, " (", backend,
         "; a firewall between the hosts?): ", cause);
  }
  return group;
}

void complete(const ProcessGroup& group, const char* operation,
              const std::function<c10::intrusive_ptr<c10d::Work>()>& start) {
  const profile::Scope scope(profile::Phase::communication);
  const activity::Exchange exchange(operation);
  try {
    start()->wait();
  } catch (const std::exception& e) {
    fail(ErrorKind::communication, "rank ", group.getRank(), " of ", group.getSize(), ": ", operation,
         " failed, another rank is gone or hangs: ", communication_failure_text(e));
  }
}

std::vector<OptionSpec> distributed_options() {
  std::vector<std::string> backends{"auto"};
  for (const auto& name : process_group_backends().names()) backends.push_back(name);
  if (std::find(backends.begin(), backends.end(), "nccl") == backends.end()) backends.emplace_back("nccl");
  std::vector<OptionSpec> options{
      choice_option("backend", "auto",
                    "What carries gradients between ranks; auto: nccl for CUDA; on the CPU shm (shared "
                    "memory) where all ranks are on one host, else gloo",
                    backends),
      integer_option("master-port", "0", "TCP port of rank 0 for the rendezvous of the ranks; 0: any free "
                                         "port", 0,
                     65535),
      integer_option("threads", "0", "Threads per rank; 0: this rank's share of the cores", 0, 4096),
      real_option("distributed-timeout", "600",
                  "Seconds after which an exchange that hangs is an error, and a rank that does nothing "
                  "although it need not wait",
                  0, 1e9, true),
      real_option("startup-timeout", "120", "Seconds that the ranks may take to find and connect to each "
                                            "other", 0,
                  1e6, true),
      real_option("heartbeat-interval", "2", "Seconds between a rank's signs of life; 0: none", 0, 3600),
      real_option("heartbeat-timeout", "60",
                  "Seconds of silence after which a rank counts as lost and the run ends", 0, 1e6, true),
      real_option("save-timeout", "60",
                  "Seconds that a failed run waits for a checkpoint that is being written before it ends",
                  0, 1e6)};
  for (auto& option : options) option = of_this_machine(std::move(option));
  return options;
}

void set_timeout(c10d::Backend& backend, std::chrono::milliseconds timeout) {
  backend.setTimeout(timeout);
}

namespace {

std::chrono::milliseconds time_of(const OptionValues& options, const char* name) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(options.real(name)));
}

}  // namespace

WorldOptions world_options(const OptionValues& options) {
  return {static_cast<int>(options.integer("master-port")), static_cast<int>(options.integer("threads")),
          time_of(options, "startup-timeout")};
}

ProcessGroupOptions process_group_options(const OptionValues& options, c10::DeviceType device) {
  const auto interval = time_of(options, "heartbeat-interval"),
             timeout = time_of(options, "heartbeat-timeout");
  if (timeout < 2 * interval)
    fail(ErrorKind::usage, "--heartbeat-timeout: '", options.text("heartbeat-timeout"),
         "' is not allowed; allowed: at least two of --heartbeat-interval (",
         options.text("heartbeat-interval"), ")");
  return {options.text("backend"),
          device,
          time_of(options, "distributed-timeout"),
          time_of(options, "startup-timeout"),
          interval,
          timeout,
          time_of(options, "save-timeout")};
}

}  // namespace isnet
