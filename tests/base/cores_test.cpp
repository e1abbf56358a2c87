// How many cores a process may use: affinity, and CPU quotas of control groups of both versions. The files of
// the kernel are played by a folder.
#include "base/cores.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temporary_folder.h"

namespace isnet {
namespace {

// A root folder with /proc/self and control groups.
class FakeRoot {
 public:
  FakeRoot(const std::string& cgroup, const std::string& mountinfo) {
    write("proc/self/cgroup", cgroup);
    write("proc/self/mountinfo", mountinfo);
  }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text;
  }
  std::vector<double> quotas() const {
    const CoreAllowance allowance = core_allowance(folder_.path());
    std::vector<double> cores;
    for (std::uint32_t i = 0; i < allowance.quota_count; ++i) cores.push_back(allowance.quotas[i].cores);
    return cores;
  }

 private:
  testing::TemporaryFolder folder_;
};

const std::string unified_mount =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(Cores, QuotasOfVersion2CountAtEveryLevel) {
  const FakeRoot root("0::/system.slice/job.scope/task\n",
                      "21 23 0:5 / /proc rw - proc proc rw\n" + unified_mount);
  root.write("sys/fs/cgroup/system.slice/cpu.max", "400000 100000\n");
  root.write("sys/fs/cgroup/system.slice/job.scope/cpu.max", "150000 100000\n");
  root.write("sys/fs/cgroup/system.slice/job.scope/task/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/other/cpu.max", "10000 100000\n");
  EXPECT_EQ(root.quotas(), (std::vector<double>{1.5, 4}));
}

TEST(Cores, InsideANamespaceTheMountIsTheOwnGroup) {
  const FakeRoot root("0::/\n", unified_mount);
  root.write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(root.quotas(), std::vector<double>{0.5});
  // A process that was moved out of the namespace's group: the mount still shows that group.
  const FakeRoot moved("0::/../other\n", unified_mount);
  moved.write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(moved.quotas(), std::vector<double>{2});
}

TEST(Cores, QuotasOfVersion1CountBesideThoseOfVersion2) {
  const FakeRoot root("12:memory:/docker/1f\n4:cpu,cpuacct:/docker/1f/inner\n0::/docker/1f\n",
                      "40 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                      "41 30 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                      "42 30 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  const std::string group = "sys/fs/cgroup/cpu,cpuacct/docker/1f/";
  root.write(group + "cpu.cfs_quota_us", "300000\n");
  root.write(group + "cpu.cfs_period_us", "100000\n");
  root.write(group + "inner/cpu.cfs_quota_us", "-1\n");
  root.write(group + "inner/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(root.quotas(), std::vector<double>{3});
}

// Without a namespace of its own a container sees its group as the mount's top, and its whole path in /proc.
TEST(Cores, AContainersMountOfItsOwnGroupIsUnderstood) {
  const FakeRoot root("4:cpu:/docker/1f/inner\n",
                      "42 30 0:33 /docker/1f /sys/fs/cgroup/my\\040cpu rw - cgroup cgroup rw,cpu\n");
  const std::string group = "sys/fs/cgroup/my cpu/";
  root.write(group + "cpu.cfs_quota_us", "200000\n");
  root.write(group + "cpu.cfs_period_us", "100000\n");
  root.write(group + "inner/cpu.cfs_quota_us", "50000\n");
  root.write(group + "inner/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(root.quotas(), (std::vector<double>{1, 2}));
}

TEST(Cores, WhatCannotBeReadBoundsNothing) {
  EXPECT_TRUE(FakeRoot("", "").quotas().empty());
  EXPECT_TRUE(FakeRoot("0::/\n", unified_mount).quotas().empty());
  const FakeRoot root("nonsense\n0::/a\n", "1 2\n" + unified_mount);
  for (const char* text : {"", "max", "many 100000", "100000", "-5 100000", "100000 0", "0 0"}) {
    root.write("sys/fs/cgroup/a/cpu.max", text);
    EXPECT_TRUE(root.quotas().empty()) << text;
  }
}

CoreAllowance allowance(std::initializer_list<std::size_t> cores,
                        std::initializer_list<CpuQuota> quotas = {}) {
  CoreAllowance one;
  CPU_ZERO(&one.affinity);
  for (const std::size_t core : cores) CPU_SET(core, &one.affinity);
  for (const auto& quota : quotas) one.quotas[one.quota_count++] = quota;
  return one;
}

TEST(Cores, ProcessesShareCoresAndQuotas) {
  const std::vector<CoreAllowance> free{allowance({0, 1, 2, 3}), allowance({0, 1, 2, 3})};
  EXPECT_DOUBLE_EQ(share_of_cores(free, 0), 2);
  const std::vector<CoreAllowance> bound{allowance({0, 1}), allowance({2})};
  EXPECT_DOUBLE_EQ(share_of_cores(bound, 0), 2);
  EXPECT_DOUBLE_EQ(share_of_cores(bound, 1), 1);
  // One container of 3 cores around both, and one of half a core around the second.
  const std::vector<CoreAllowance> limited{allowance({0, 1, 2, 3}, {{7, 3}}),
                                           allowance({0, 1, 2, 3}, {{8, 0.5}, {7, 3}})};
  EXPECT_DOUBLE_EQ(share_of_cores(limited, 0), 1.5);
  EXPECT_DOUBLE_EQ(share_of_cores(limited, 1), 0.5);
  EXPECT_EQ(whole_cores(1.5), 1);
  EXPECT_EQ(whole_cores(0.5), 1);
  EXPECT_EQ(whole_cores(4), 4);
}

}  // namespace
}  // namespace isnet
