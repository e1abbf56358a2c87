// The cores that this process may use: its affinity, and the CPU quotas of its control groups (containers,
// batch systems), at every level.
#pragma once

#include <sched.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>

namespace isnet {

/// A bound on the processor time of a control group: that of `cores` whole cores.
struct CpuQuota {
  std::uint64_t group = 0;  ///< identifies the control group on this host
  double cores = 0;
};

/// The cores that a process may use. Plain bytes, which ranks of a host exchange.
struct CoreAllowance {
  cpu_set_t affinity{};
  std::uint32_t quota_count = 0;
  std::array<CpuQuota, 8> quotas{};  ///< the smallest ones
};

/// This process's allowance. `root` is where /proc and the control groups' file systems are looked for: "/",
/// or a folder of a test. What cannot be read does not bound anything.
CoreAllowance core_allowance(const std::filesystem::path& root = "/");

/// The share of process `self` in the cores of a host: a core that several processes of `all` may use is
/// divided among them, and so is a quota that several are under.
double share_of_cores(std::span<const CoreAllowance> all, std::size_t self);

/// Threads for such a share: whole cores, at least 1.
int whole_cores(double share);

/// The whole cores that this process may use alone, at least 1.
int available_cores();

}  // namespace isnet
