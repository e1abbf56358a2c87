#include "trainer/distributed/process_group.h"

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <typeinfo>
#include <vector>

#include "base/error.h"
#include "base/profile.h"

namespace isnet {
namespace {

using c10d::ProcessGroup;

// How long a rank may take from MPI's start to the rendezvous.
constexpr auto rendezvous_timeout = std::chrono::minutes(2);

// While it lives, c10d does not warn that addresses have no names: clusters without reverse look-up are
// common, and the errors say it all. TORCH_CPP_LOG_LEVEL wins.
class QuietConnecting {
 public:
  QuietConnecting() {
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = 2;  // errors
  }
  ~QuietConnecting() { FLAGS_caffe2_log_level = before_; }
  QuietConnecting(const QuietConnecting&) = delete;
  QuietConnecting& operator=(const QuietConnecting&) = delete;

 private:
  int before_ = FLAGS_caffe2_log_level;
};

c10::intrusive_ptr<c10d::Store> open_store(World& world) {
  const auto& place = world.rendezvous();
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.isServer = world.is_main();
  options.numWorkers = static_cast<std::size_t>(world.size());
  options.waitWorkers = false;
  options.timeout = rendezvous_timeout;
  if (world.is_main()) options.masterListenFd = world.take_listening_socket();
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
    return c10::make_intrusive<c10d::PrefixStore>("isnet-" + place.token, std::move(store));
  } catch (const std::exception& e) {
    fail(ErrorKind::communication, "rank ", world.rank(), " on ", world.host(), " cannot reach rank 0 at ",
         place.address, " port ", place.port,
         " (a firewall, or the wrong interface: see GLOO_SOCKET_IFNAME): ", communication_failure_text(e));
  }
}

// Every rank shows itself in the store, so that one that is missing can be named.
void greet(c10d::Store& store, const World& world) {
  const auto key = [](int rank) { return cat("here/", rank); };
  std::vector<std::string> keys;
  for (int rank = 0; rank < world.size(); ++rank) keys.push_back(key(rank));
  try {
    store.set(key(world.rank()), world.host());
    store.wait(keys, rendezvous_timeout);
  } catch (const std::exception& e) {
    std::string missing;
    try {
      for (int rank = 0; rank < world.size(); ++rank)
        if (!store.check({key(rank)})) missing += cat(missing.empty() ? " " : ", ", rank);
    } catch (const std::exception&) {
      missing = " 0 (its store does not answer)";
    }
    fail(ErrorKind::communication, "rank ", world.rank(),
         ": not all ranks have come to the rendezvous; missing:", missing, ": ",
         communication_failure_text(e));
  }
}

ProcessGroup::BackendType backend_type(const std::string& name) {
  if (name == "gloo") return ProcessGroup::BackendType::GLOO;
  if (name == "nccl") return ProcessGroup::BackendType::NCCL;
  return ProcessGroup::BackendType::CUSTOM;
}

}  // namespace

bool is_communication_failure(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const Error*>(&exception))
    return error->kind() == ErrorKind::communication;
  if (dynamic_cast<const c10::DistError*>(&exception)) return true;
  // Gloo's exceptions are known by the name of their type only, without its headers.
  return std::string(typeid(exception).name()).find("gloo") != std::string::npos;
}

std::string communication_failure_text(const std::exception& exception) {
  std::string text = exception.what();
  text = text.substr(0, text.find('\n'));
  // Gloo: "[/path/pair.cc:537] Read error [10.0.0.1]:54460: … This is typically caused by …".
  if (const auto end = text.find("] "); text.rfind("[/", 0) == 0 && end != std::string::npos)
    text.erase(0, end + 2);
  if (const auto advice = text.find(" This is typically"); advice != std::string::npos) text.erase(advice);
  return text;
}

Registry<BackendFactory>& process_group_backends() {
  static Registry<BackendFactory> registry("backend");
  return registry;
}

std::string resolve_backend(const ProcessGroupOptions& options) {
  const bool cuda = options.device == c10::DeviceType::CUDA;
  const auto names = process_group_backends().names();
  const bool has_nccl = std::find(names.begin(), names.end(), "nccl") != names.end();
  if (options.backend == "auto") return cuda && has_nccl ? "nccl" : "gloo";
  if (options.backend == "nccl" && !has_nccl)
    fail(ErrorKind::usage, "--backend nccl: this build has no CUDA; use --backend gloo");
  if (options.backend == "nccl" && !cuda)
    fail(ErrorKind::usage, "--backend nccl carries CUDA tensors only; use --device cuda, or --backend gloo");
  process_group_backends().at(options.backend);
  return options.backend;
}

BackendPlace meet(World& world, const ProcessGroupOptions& options) {
  resolve_backend(options);
  BackendPlace place;
  place.rank = world.rank();
  place.world_size = world.size();
  place.local_rank = world.local_rank();
  place.host = world.host();
  place.timeout = options.timeout;
  if (world.size() == 1) return place;
  const QuietConnecting quiet;
  place.interface = world.rendezvous().interface;
  place.store = open_store(world);
  greet(*place.store, world);
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
    return process_group_backends().at(kind).make(place);
  };
  try {
    const auto gloo = connect("gloo");
    group->setBackend(c10::DeviceType::CPU, ProcessGroup::BackendType::GLOO, gloo);
    if (options.device != c10::DeviceType::CPU)
      group->setBackend(options.device, backend_type(backend), backend == "gloo" ? gloo : connect(backend));
    group->setDefaultBackend(backend_type(options.device == c10::DeviceType::CPU ? "gloo" : backend));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    fail(ErrorKind::communication, "rank ", meeting.rank, " on ", meeting.host,
         ": the ranks cannot connect over ", meeting.interface, " (", backend,
         "): ", communication_failure_text(e));
  }
  return group;
}

void complete(const ProcessGroup& group, const char* operation,
              const std::function<c10::intrusive_ptr<c10d::Work>()>& start) {
  const profile::Scope scope(profile::Phase::communication);
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
  return {choice_option("backend", "auto", "What carries gradients between ranks: nccl for CUDA, else gloo",
                        backends),
          integer_option("master-port", "0", "TCP port of rank 0 for the ranks' rendezvous; 0: a free one", 0,
                         65535),
          integer_option("threads", "0", "Threads per rank; 0: this rank's share of the cores", 0, 4096),
          real_option("distributed-timeout", "600", "Seconds after which a collective that hangs is an error",
                      0, 1e9, true)};
}

WorldOptions world_options(const OptionValues& options) {
  return {static_cast<int>(options.integer("master-port")), static_cast<int>(options.integer("threads"))};
}

ProcessGroupOptions process_group_options(const OptionValues& options, c10::DeviceType device) {
  const auto timeout = std::chrono::duration<double>(options.real("distributed-timeout"));
  return {options.text("backend"), device, std::chrono::duration_cast<std::chrono::milliseconds>(timeout)};
}

}  // namespace isnet
