#include "kernels/cpu/thread_pool_cpus.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace p3d {
namespace {

// CPUs that `quota` microseconds per `period` make, 0 for no limit.
int CpusOf(const std::string& quota, const std::string& period) {
  double runs = 0, lasts = 0;
  std::istringstream(quota) >> runs;
  std::istringstream(period) >> lasts;
  if (!(runs > 0) || !(lasts > 0)) return 0;
  return static_cast<int>(std::min(std::ceil(runs / lasts), 1e6));
}

int GroupQuota(const std::string& directory) {
  std::string quota, period;
  std::ifstream version2(directory + "/cpu.max");
  if (version2 >> quota >> period) return CpusOf(quota, period);
  std::ifstream(directory + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(directory + "/cpu.cfs_period_us") >> period;
  return CpusOf(quota, period);
}

// The smallest quota of the group at `path` below `root` and its parents. In a
// container the path may be the host's and not exist here; its root still does.
int SmallestQuota(const std::string& root, std::string path) {
  int smallest = 0;
  for (;;) {
    const int quota = GroupQuota(root + path);
    if (quota > 0) smallest = smallest ? std::min(smallest, quota) : quota;
    if (path.empty()) return smallest;
    path.resize(path.find_last_of('/') == std::string::npos
                    ? 0
                    : path.find_last_of('/'));
  }
}

bool ListContains(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

int AffinityCpus() {
#ifdef __linux__
  for (int cpus = 1024; cpus <= (1 << 20); cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(cpus);
    const bool fits = sched_getaffinity(0, size, set) == 0;
    const int count = fits ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

int CgroupCpuQuota(const std::string& mount, const std::string& memberships) {
  int smallest = 0;
  std::istringstream lines(memberships);
  std::string line;
  while (std::getline(lines, line)) {
    // hierarchy:controllers:path; version 2 has no controllers.
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !ListContains(controllers, "cpu")) continue;
    const std::string root = controllers.empty() ? mount : mount + "/cpu";
    const int quota = SmallestQuota(root, line.substr(second + 1));
    if (quota > 0) smallest = smallest ? std::min(smallest, quota) : quota;
  }
  return smallest;
}

int AvailableCpus() {
  const int cpus = AffinityCpus();
  std::ifstream file("/proc/self/cgroup");
  std::ostringstream memberships;
  if (file) memberships << file.rdbuf();
  const int quota = CgroupCpuQuota("/sys/fs/cgroup", memberships.str());
  return quota > 0 ? std::min(cpus, quota) : cpus;
}

}  // namespace p3d
