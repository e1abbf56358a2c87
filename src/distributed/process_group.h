// Process-group backends, chosen by name: what carries tensors between the ranks.
#pragma once

#include <c10/core/DeviceType.h>
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "distributed/bootstrap.h"

namespace c10d {
class Backend;
class ProcessGroup;
class Store;
class Work;
}  // namespace c10d

namespace isnet {

namespace shared_memory {
class Rings;
}

/// How ranks exchange tensors: --backend, --distributed-timeout, --startup-timeout, --heartbeat-…,
/// --save-timeout.
struct ProcessGroupOptions {
  /// "shm" (CPU, ranks of one host), "gloo" (CPU, and CUDA through host memory), "nccl" (CUDA), or "auto":
  /// nccl for CUDA where it is compiled in; for CPU shm where all ranks are on one host, else gloo.
  std::string backend = "auto";
  c10::DeviceType device = c10::DeviceType::CPU;  ///< where the parameters are
  /// The limit of one collective; a rank that does nothing for so long while it need not wait is given up, too.
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  std::chrono::milliseconds startup_timeout =
      std::chrono::minutes(2);                          ///< for the rendezvous and connections
  std::chrono::milliseconds heartbeat_interval{2000};   ///< 0: ranks do not watch each other
  std::chrono::milliseconds heartbeat_timeout{60'000};  ///< of a silent rank
  std::chrono::milliseconds save_timeout{60'000};       ///< of a checkpoint, where another rank has failed
};

/// The facts that a backend needs to connect the ranks.
struct BackendPlace {
  c10::intrusive_ptr<c10d::Store> store;  ///< null in a world of one
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;     ///< the CUDA device of this rank
  int local_size = 1;     ///< ranks on this host
  std::string interface;  ///< network interface of this rank
  std::string host;       ///< name of this rank's host, for messages
  /// "rank 2 on node1" and its IPv4 address on the network of the run, by rank.
  std::vector<std::pair<std::string, std::string>> peers;
  std::chrono::milliseconds timeout{};
  std::chrono::milliseconds startup_timeout{};
  std::shared_ptr<shared_memory::Rings> rings;  ///< of this process
};

/// Connects the ranks. Collective. Errors: anything that derives from std::exception.
using BackendFactory = std::function<c10::intrusive_ptr<c10d::Backend>(const BackendPlace&)>;

/// The registered backends; "nccl" is among them when the torch wheel has CUDA.
Registry<BackendFactory>& process_group_backends();

/// The name that "auto" stands for with this device; "auto" for CPU, since connecting decides that. Other
/// names are checked. Errors: usage (unknown name, or a backend that cannot carry this device's tensors).
std::string resolve_backend(const ProcessGroupOptions& options);

/// The ranks' rendezvous; once for each world. Collective. Errors: usage (backend), communication (ranks that
/// did not come, by number).
BackendPlace meet(World& world, const ProcessGroupOptions& options);

/// A process group of all ranks. Besides a CUDA device's backend there is one for CPU tensors: Gloo where
/// that is asked for, else as "auto". That shared memory cannot be used on one host is a warning.
/// nullptr in a world of one. `name`: the group's own in this world. Collective. Errors: communication
/// (connections that failed).
c10::intrusive_ptr<c10d::ProcessGroup> make_process_group(const BackendPlace& place, const std::string& name,
                                                          const ProcessGroupOptions& options);

/// Starts a collective of the group and waits for it. `operation`: for the message. Errors: communication
/// (rank, operation, cause), when another rank is gone or the time-out has passed.
void complete(const c10d::ProcessGroup& group, const char* operation,
              const std::function<c10::intrusive_ptr<c10d::Work>()>& start);

/// For backends: their connections have been made within the start-up time-out, collectives have their own.
void set_timeout(c10d::Backend& backend, std::chrono::milliseconds timeout);

/// --backend, --master-port, --threads, --distributed-timeout, --startup-timeout, --heartbeat-…,
/// --save-timeout.
std::vector<OptionSpec> distributed_options();
/// Reads --master-port, --threads and --startup-timeout.
WorldOptions world_options(const OptionValues& options);
/// Reads --backend, --distributed-timeout, --startup-timeout, --heartbeat-… and --save-timeout. `device`:
/// where the parameters are. Errors: usage (a heartbeat time-out of less than two intervals).
ProcessGroupOptions process_group_options(const OptionValues& options, c10::DeviceType device);

}  // namespace isnet
