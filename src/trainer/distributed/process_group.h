// Process-group backends, chosen by name: what carries tensors between the ranks.
#pragma once

#include <c10/core/DeviceType.h>
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <exception>
#include <functional>
#include <string>

#include "base/registry.h"
#include "trainer/distributed/bootstrap.h"

namespace c10d {
class Backend;
class ProcessGroup;
class Store;
class Work;
}  // namespace c10d

namespace isnet {

/// How ranks exchange tensors: --backend, --distributed-timeout.
struct ProcessGroupOptions {
  /// "gloo" (CPU, and CUDA by way of host memory), "nccl" (CUDA), or "auto": nccl for CUDA where it is
  /// compiled in, else gloo.
  std::string backend = "auto";
  c10::DeviceType device = c10::DeviceType::CPU;                 ///< where the parameters are
  std::chrono::milliseconds timeout = std::chrono::minutes(10);  ///< of one collective
};

/// What a backend needs to connect the ranks.
struct BackendPlace {
  c10::intrusive_ptr<c10d::Store> store;  ///< null in a world of one
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;     ///< the CUDA device of this rank
  std::string interface;  ///< network interface of this rank
  std::string host;       ///< name of this rank's host, for messages
  std::chrono::milliseconds timeout{};
};

/// Connects the ranks. Collective. Errors: anything that derives from std::exception.
using BackendFactory = std::function<c10::intrusive_ptr<c10d::Backend>(const BackendPlace&)>;

/// The registered backends; "nccl" is among them when the torch wheel has CUDA.
Registry<BackendFactory>& process_group_backends();

/// The name that "auto" stands for with this device; other names are checked. Errors: usage (unknown name, or
/// a backend that cannot carry this device's tensors).
std::string resolve_backend(const ProcessGroupOptions& options);

/// The ranks' rendezvous; once for each world. Collective. Errors: usage (backend), communication (ranks that
/// did not come, by number).
BackendPlace meet(World& world, const ProcessGroupOptions& options);

/// A process group of all ranks: CPU tensors go through Gloo, CUDA tensors through the backend asked for.
/// nullptr in a world of one. `name`: the group's own in this world. Collective. Errors: communication
/// (connections that failed).
c10::intrusive_ptr<c10d::ProcessGroup> make_process_group(const BackendPlace& place, const std::string& name,
                                                          const ProcessGroupOptions& options);

/// Starts a collective of the group and waits for it. `operation`: for the message. Errors: communication
/// (rank, operation, cause), when another rank is gone or the time-out has passed.
void complete(const c10d::ProcessGroup& group, const char* operation,
              const std::function<c10::intrusive_ptr<c10d::Work>()>& start);

/// Whether an exception of the library's comes from the connection between ranks (Gloo, NCCL, the store):
/// another rank is gone or hangs, and this one is innocent.
bool is_communication_failure(const std::exception& exception);
/// Its cause in one line, without source places and advice of the library's.
std::string communication_failure_text(const std::exception& exception);

/// --backend, --master-port, --threads, --distributed-timeout.
std::vector<OptionSpec> distributed_options();
/// Reads --master-port and --threads.
WorldOptions world_options(const OptionValues& options);
/// Reads --backend and --distributed-timeout. `device`: where the parameters are.
ProcessGroupOptions process_group_options(const OptionValues& options, c10::DeviceType device);

}  // namespace isnet
