#ifndef P3D_KERNELS_THREAD_POOL_CPUS_HPP_
#define P3D_KERNELS_THREAD_POOL_CPUS_HPP_

#include <string>

namespace p3d {

// Processors that this process may keep busy, at least 1: the affinity mask's
// count, or less where a cgroup's CPU quota allows less.
int AvailableCpus();

// CPUs that the quotas of a process's cgroups allow, rounded up: the smallest
// over its groups and all their parents; 0 where nothing limits it.
//
//   mount        where cgroups are mounted, usually "/sys/fs/cgroup"
//   memberships  the text of /proc/self/cgroup
//
// Version 2 reads <mount>/<path>/cpu.max, version 1
// <mount>/cpu/<path>/cpu.cfs_quota_us and cpu.cfs_period_us.
int CgroupCpuQuota(const std::string& mount, const std::string& memberships);

}  // namespace p3d

#endif  // P3D_KERNELS_THREAD_POOL_CPUS_HPP_
