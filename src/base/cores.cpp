#include "base/cores.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace isnet {
namespace {

// A mounted hierarchy of control groups: `root` is the group that is seen at `point`.
struct Hierarchy {
  bool unified = false;  // version 2
  std::string root;
  std::string point;
};

bool lists(const std::string& words, const std::string& word) {
  return ("," + words + ",").find("," + word + ",") != std::string::npos;
}

// mountinfo writes blanks in paths as \040.
std::string unescaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool octal = text[i] == '\\' && i + 3 < text.size();
    result += octal ? static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8)) : text[i];
    if (octal) i += 3;
  }
  return result;
}

// proc(5), mountinfo: "36 35 98:0 ROOT POINT rw,noatime master:1 - TYPE source SUPER_OPTIONS".
std::vector<Hierarchy> hierarchies(const std::filesystem::path& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string skipped, group, point, type, source, options;
    words >> skipped >> skipped >> skipped >> group >> point;
    while (words >> skipped && skipped != "-") continue;
    words >> type >> source >> options;
    if (type == "cgroup2" || (type == "cgroup" && lists(options, "cpu")))
      found.push_back({type == "cgroup2", unescaped(group), unescaped(point)});
  }
  return found;
}

// cgroups(7), /proc/self/cgroup: "0::/path" of version 2, "4:cpu,cpuacct:/path" of version 1.
std::optional<std::string> group_of_process(const std::filesystem::path& root, bool unified) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? line.rfind("0::", 0) == 0 : lists(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

template <typename Value>
std::optional<Value> value_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  Value value{};
  return in >> value ? std::optional(value) : std::nullopt;
}

// Processor time in microseconds for each period; negative, zero or "max": no bound.
std::optional<double> quota_in(const std::filesystem::path& folder, bool unified) {
  double quota = -1, period = 0;
  if (unified) {
    std::ifstream file(folder / "cpu.max");
    file >> quota >> period;
  } else {
    quota = value_in<double>(folder / "cpu.cfs_quota_us").value_or(-1);
    period = value_in<double>(folder / "cpu.cfs_period_us").value_or(0);
  }
  return quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

std::uint64_t identity_of(const std::filesystem::path& folder) {
  struct stat state{};
  if (::stat(folder.c_str(), &state) != 0) return 0;
  return (static_cast<std::uint64_t>(state.st_dev) << 48) ^ static_cast<std::uint64_t>(state.st_ino);
}

// The group's path below the mount: without a control-group namespace a container's mount shows its own group
// as the top, while /proc names it by the whole path. A group that the mount does not show leaves the top.
std::filesystem::path below_mount(const std::string& group, const std::string& mounted) {
  const auto relative = std::filesystem::path(group).lexically_relative(mounted);
  if (relative.empty() || relative == "." || *relative.begin() == "..") return {};
  return relative;
}

void add_quotas(const std::filesystem::path& root, const Hierarchy& hierarchy,
                std::vector<CpuQuota>& quotas) {
  const auto group = group_of_process(root, hierarchy.unified);
  if (!group) return;
  std::filesystem::path folder = root / std::filesystem::path(hierarchy.point).relative_path();
  const auto add = [&] {
    if (const auto cores = quota_in(folder, hierarchy.unified))
      quotas.push_back({identity_of(folder), *cores});
  };
  add();
  for (const auto& part : below_mount(*group, hierarchy.root)) {
    folder /= part;
    add();
  }
}

std::size_t users_of_core(std::span<const CoreAllowance> all, std::size_t core) {
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [core](const auto& one) { return CPU_ISSET(core, &one.affinity) != 0; }));
}

bool is_under(const CoreAllowance& one, std::uint64_t group) {
  const auto quotas = std::span(one.quotas).first(one.quota_count);
  return std::any_of(quotas.begin(), quotas.end(), [group](const auto& q) { return q.group == group; });
}

}  // namespace

CoreAllowance core_allowance(const std::filesystem::path& root) {
  CoreAllowance own;
  CPU_ZERO(&own.affinity);
  ::sched_getaffinity(0, sizeof own.affinity, &own.affinity);
  std::vector<CpuQuota> quotas;
  for (const auto& hierarchy : hierarchies(root)) add_quotas(root, hierarchy, quotas);
  std::sort(quotas.begin(), quotas.end(), [](const auto& a, const auto& b) { return a.cores < b.cores; });
  own.quota_count = static_cast<std::uint32_t>(std::min(quotas.size(), own.quotas.size()));
  std::copy_n(quotas.begin(), own.quota_count, own.quotas.begin());
  return own;
}

double share_of_cores(std::span<const CoreAllowance> all, std::size_t self) {
  const CoreAllowance& own = all[self];
  double share = 0;
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &own.affinity)) share += 1.0 / static_cast<double>(users_of_core(all, core));
  for (const auto& quota : std::span(own.quotas).first(own.quota_count)) {
    const auto users =
        std::count_if(all.begin(), all.end(), [&](const auto& one) { return is_under(one, quota.group); });
    share = std::min(share, quota.cores / static_cast<double>(users));
  }
  return share;
}

int whole_cores(double share) {
  return std::max(1, static_cast<int>(std::floor(share + 1e-9)));
}

int available_cores() {
  const CoreAllowance own = core_allowance();
  return whole_cores(share_of_cores({&own, 1}, 0));
}

}  // namespace isnet
