// ParallelFor: every task once, from anywhere; and how many threads it takes.
//
//   test_thread_pool [--quick]

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/cpu/thread_pool_cpus.hpp"
#include "kernels/error.hpp"
#include "testing.hpp"

namespace {

using p3d::ParallelFor;
using testing::Expect;
using testing::ExpectError;

// Whether every task ran exactly once.
bool RunsEachOnce(int64_t tasks) {
  std::vector<std::atomic<int>> runs(tasks);
  ParallelFor(tasks, [&](int64_t task) { ++runs[task]; });
  for (const auto& count : runs) {
    if (count != 1) return false;
  }
  return true;
}

void CheckCounts() {
  for (int threads : {1, 2, 3, 8, 2, 1}) {
    p3d::SetNumThreads(threads);
    Expect(p3d::NumThreads() == threads, "NumThreads after SetNumThreads");
    for (int64_t tasks : {0, 1, 2, 3, 7, 64, 1001}) {
      Expect(RunsEachOnce(tasks), std::to_string(tasks) + " tasks on " +
                                      std::to_string(threads) + " threads");
    }
  }
  ParallelFor(-5, [](int64_t) { Expect(false, "a task of -5 tasks"); });
  ExpectError([] { p3d::SetNumThreads(0); }, "Cannot use 0 threads",
              "0 threads");
  ExpectError([] { p3d::SetNumThreads(-1); }, "Cannot use -1", "-1 threads");
  ExpectError([] { p3d::SetNumThreads(1 << 30); }, "Cannot use",
              "2^30 threads");
}

// Tasks that wait for each other can only end if they run at the same time.
void CheckParallel() {
  p3d::SetNumThreads(3);
  std::atomic<int> arrived{0};
  ParallelFor(3, [&](int64_t) {
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
  });
  Expect(arrived == 3, "three tasks at the same time");
}

void CheckNesting() {
  p3d::SetNumThreads(3);
  std::atomic<int> runs{0};
  std::atomic<bool> elsewhere{false};
  ParallelFor(5, [&](int64_t) {
    const std::thread::id self = std::this_thread::get_id();
    ParallelFor(7, [&](int64_t) {
      elsewhere = elsewhere || std::this_thread::get_id() != self;
      ParallelFor(2, [&](int64_t) { ++runs; });
    });
  });
  Expect(runs == 5 * 7 * 2, "nested loops run every task");
  Expect(!elsewhere, "an inner loop stays on its thread");
}

void CheckExceptions() {
  for (int threads : {1, 3}) {
    p3d::SetNumThreads(threads);
    const std::string where = " on " + std::to_string(threads) + " threads";
    std::atomic<int> runs{0};
    ExpectError(
        [&] {
          ParallelFor(20, [&](int64_t task) {
            ++runs;
            if (task == 13) p3d::Fail("task ", task, " fails");
          });
        },
        "task 13 fails", "an exception reaches the caller" + where);
    Expect(runs == 20, "the other tasks run" + where);
    ExpectError([] { ParallelFor(9, [](int64_t) { throw std::bad_alloc(); }); },
                "", "every task fails" + where);
    Expect(RunsEachOnce(100), "a loop after exceptions" + where);
  }
}

void CheckCallers(int rounds) {
  p3d::SetNumThreads(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < rounds; ++round) {
        if (!RunsEachOnce(1 + (round * 7 + caller) % 40)) ++wrong;
      }
    });
  }
  // Meanwhile the number of threads changes.
  for (int i = 0; i < rounds / 10; ++i) p3d::SetNumThreads(1 + i % 4);
  for (std::thread& caller : callers) caller.join();
  Expect(wrong == 0, "four threads call at once");
}

// Threads that went to sleep are woken.
void CheckSleepers() {
  p3d::SetNumThreads(3);
  for (int i = 0; i < 20; ++i) {
    usleep(1000 * (i % 3));
    Expect(RunsEachOnce(5), "a loop after a pause");
  }
}

// Runs `action` in a forked process; whether it returned true.
template <typename Action>
bool InChild(const Action& action) {
  const pid_t child = fork();
  if (child == 0) {
    bool good = false;
    try {
      good = action();
    } catch (const std::exception& error) {
      std::printf("in a forked process: %s\n", error.what());
    }
    std::fflush(stdout);
    _exit(good ? 0 : 1);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child &&
         WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void CheckFork() {
  p3d::SetNumThreads(3);
  Expect(RunsEachOnce(50), "a loop before fork");
  std::atomic<bool> started{false}, stop{false};
  // The pool may be in use, its lock held, at the moment of the fork. Nothing
  // allocates then, not even a thread that starts: unlike malloc's, the locks
  // of AddressSanitizer (gcc 12) would stay held in the child for ever.
  std::thread busy([&] {
    while (!stop) {
      ParallelFor(10, [](int64_t) {});
      started = true;
    }
  });
  while (!started) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) {
    Expect(InChild([] {
             std::atomic<int> arrived{0};
             ParallelFor(3, [&](int64_t) {
               ++arrived;
               while (arrived < 3) std::this_thread::yield();
             });
             return RunsEachOnce(50) && RunsEachOnce(50);
           }),
           "a pool of its own after fork");
  }
  stop = true;
  busy.join();
  Expect(RunsEachOnce(50), "a loop in the parent after fork");
}

void Write(const std::string& path, const std::string& text) {
  for (size_t i = 1; i < path.size(); ++i) {
    if (path[i] == '/') mkdir(path.substr(0, i).c_str(), 0777);
  }
  std::ofstream(path) << text;
}

void CheckQuota() {
  const char* const temporary = std::getenv("TMPDIR");
  std::string root = std::string(temporary ? temporary : "/tmp") + "/p3dXXXXXX";
  if (!Expect(mkdtemp(&root[0]) != nullptr, "a temporary directory")) return;
  Write(root + "/v2/cpu.max", "max 100000\n");
  Write(root + "/v2/a/cpu.max", "250000 100000\n");
  Write(root + "/v2/a/b/cpu.max", "max 100000\n");
  Write(root + "/v2/c/cpu.max", "50000 100000\n");
  Write(root + "/v2/bad/cpu.max", "garbage\n");
  Write(root + "/v2/zero/cpu.max", "0 0\n");
  Write(root + "/v1/cpu/cpu.cfs_quota_us", "-1\n");
  Write(root + "/v1/cpu/cpu.cfs_period_us", "100000\n");
  Write(root + "/v1/cpu/d/cpu.cfs_quota_us", "400000\n");
  Write(root + "/v1/cpu/d/cpu.cfs_period_us", "100000\n");
  const struct {
    const char* mount;
    const char* memberships;
    int cpus;
  } cases[] = {
      {"/v2", "0::/\n", 0},
      {"/v2", "0::/a\n", 3},
      {"/v2", "0::/a/b\n", 3},
      {"/v2", "0::/c\n", 1},
      {"/v2", "0::/a/not/here\n", 3},
      {"/v2", "0::/bad\n", 0},
      {"/v2", "0::/zero\n", 0},
      {"/v2", "", 0},
      {"/v2", "nonsense\n0:\n:::\n", 0},
      {"/v1", "5:cpuacct,cpu:/d\n4:memory:/x\n", 4},
      {"/v1", "5:cpu,cpuacct:/\n", 0},
      {"/v1", "5:cpuset:/d\n", 0},
      {"/missing", "0::/a\n1:cpu:/d\n", 0},
  };
  for (const auto& c : cases) {
    const int cpus = p3d::CgroupCpuQuota(root + c.mount, c.memberships);
    Expect(cpus == c.cpus, std::string("quota of '") + c.memberships + "' in " +
                               c.mount + " is " + std::to_string(cpus));
  }
  Expect(std::system(("rm -r '" + root + "'").c_str()) == 0, "clean up");
  Expect(p3d::AvailableCpus() >= 1, "at least one processor");
}

// The environment variable is read at the first use, so each value gets a
// process that has not used the pool.
void CheckEnvironment() {
  const auto with = [](const char* value, bool (*check)()) {
    return InChild([=] {
      setenv("P3D_NUM_THREADS", value, 1);
      return check();
    });
  };
  Expect(with("3", [] { return p3d::NumThreads() == 3; }), "P3D_NUM_THREADS=3");
  Expect(with("", [] { return p3d::NumThreads() == p3d::AvailableCpus(); }),
         "an empty P3D_NUM_THREADS");
  const auto refused = [] {
    try {
      p3d::NumThreads();
    } catch (const p3d::Error&) {
      return true;
    }
    return false;
  };
  for (const char* value : {"0", "-1", "2x", "many", "99999999999999999999"}) {
    Expect(with(value, refused), std::string("P3D_NUM_THREADS=") + value);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  CheckEnvironment();  // before the first use of the pool
  CheckCounts();
  CheckParallel();
  CheckNesting();
  CheckExceptions();
  CheckCallers(testing::HasFlag(argc, argv, "--quick") ? 200 : 5000);
  CheckSleepers();
  CheckFork();
  CheckQuota();
  return testing::Finish();
} catch (const std::exception& error) {
  std::printf("FAILED %s\n", error.what());
  return 1;
}
