#include "kernels/cpu/thread_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/cpu/thread_pool_cpus.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

const int kMaxThreads = 4096;

// A layer's parallel loop follows the last one within microseconds; a thread
// that went to sleep in between would take longer to wake than many loops last.
const std::chrono::microseconds kSpinTime(100);

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

// Where one thread waits for a condition that others make true: it spins for a
// while, then sleeps. The condition is made of sequentially consistent atomics;
// who changes one calls Notify after it.
class Gate {
 public:
  template <typename Condition>
  void Wait(const Condition& holds) {
    const auto end = std::chrono::steady_clock::now() + kSpinTime;
    do {
      for (int i = 0; i < 64; ++i) {
        if (holds()) return;
        Pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_ = true;
    wake_.wait(lock, holds);
    asleep_ = false;
  }

  void Notify() {
    // Either this sees the sleeper, or the sleeper, which says so before it
    // looks, sees the change.
    if (!asleep_) return;
    std::lock_guard<std::mutex> lock(mutex_);
    wake_.notify_one();
  }

 private:
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// One parallel loop: its tasks, handed out by a counter.
struct Loop {
  const std::function<void(int64_t)>& body;
  const int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;  // written by the one who set `failed`

  Loop(int64_t tasks, const std::function<void(int64_t)>& body)
      : body(body), tasks(tasks) {}

  void RunTasks() {
    for (int64_t task; (task = next.fetch_add(1)) < tasks;) {
      try {
        body(task);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
  }
};

thread_local bool inside_task = false;

struct Worker {
  std::atomic<Loop*> loop{nullptr};  // what to help with next
  Gate gate;
  std::thread thread;
};

class Pool {
 public:
  // Runs the loop with up to `helpers` threads beside the caller's. False where
  // another caller holds the pool.
  bool TryRun(Loop* loop, int helpers) {
    std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock) return false;
    helpers = Grow(helpers);
    finished_ = 0;
    for (int i = 0; i < helpers; ++i) {
      workers_[i]->loop = loop;
      workers_[i]->gate.Notify();
    }
    inside_task = true;
    loop->RunTasks();
    inside_task = false;
    // Helpers that have not come yet have nothing left to do: uninvite them.
    int started = 0;
    for (int i = 0; i < helpers; ++i) {
      started += workers_[i]->loop.exchange(nullptr) == nullptr;
    }
    done_.Wait([&] { return finished_ == started; });
    return true;
  }

 private:
  // Starts threads until there are `helpers`; returns how many there are where
  // the system refuses more.
  int Grow(int helpers) {
    while (static_cast<int>(workers_.size()) < helpers) {
      std::unique_ptr<Worker> worker(new Worker);
      Worker* const self = worker.get();
      try {
        workers_.push_back(std::move(worker));
        self->thread = std::thread([this, self] { Serve(self); });
      } catch (const std::exception&) {
        if (!workers_.empty() && !workers_.back()->thread.joinable()) {
          workers_.pop_back();
        }
        break;
      }
    }
    return std::min(helpers, static_cast<int>(workers_.size()));
  }

  void Serve(Worker* self) {
    inside_task = true;
    for (;;) {
      self->gate.Wait([self] { return self->loop != nullptr; });
      Loop* const loop = self->loop.exchange(nullptr);
      if (loop == nullptr) continue;  // uninvited meanwhile
      loop->RunTasks();
      // From here on the loop may be gone; the pool stays.
      ++finished_;
      done_.Notify();
    }
  }

  std::mutex mutex_;  // held by the one caller whose loop runs
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<int> finished_{0};
  Gate done_;
};

// Never destroyed: its threads sleep until the process ends, also while static
// objects go.
std::atomic<Pool*> the_pool{nullptr};

// A forked child has the pool's memory but none of its threads, and a lock may
// be held for ever: leave it behind.
void ForgetPool() { the_pool = nullptr; }

Pool* GetPool() {
  static const int registered = pthread_atfork(nullptr, nullptr, ForgetPool);
  (void)registered;
  Pool* pool = the_pool;
  if (pool != nullptr) return pool;
  std::unique_ptr<Pool> fresh(new Pool);
  if (the_pool.compare_exchange_strong(pool, fresh.get())) {
    return fresh.release();
  }
  return pool;
}

int InitialThreads() {
  const char* text = std::getenv("P3D_NUM_THREADS");
  if (text == nullptr || *text == '\0') {
    return std::min(AvailableCpus(), kMaxThreads);
  }
  char* end = nullptr;
  const long threads = std::strtol(text, &end, 10);
  Check(*end == '\0' && threads >= 1 && threads <= kMaxThreads,
        "The environment variable P3D_NUM_THREADS is '", text,
        "'; give a number from 1 to ", kMaxThreads, " or unset it.");
  return static_cast<int>(threads);
}

std::atomic<int>& CurrentThreads() {
  static std::atomic<int> current(InitialThreads());
  return current;
}

}  // namespace

int NumThreads() { return CurrentThreads(); }

void SetNumThreads(int threads) {
  Check(threads >= 1 && threads <= kMaxThreads, "Cannot use ", threads,
        " threads; give a number from 1 to ", kMaxThreads, ".");
  CurrentThreads() = threads;
}

void ParallelFor(int64_t tasks, const std::function<void(int64_t)>& body) {
  if (tasks <= 0) return;
  Loop loop(tasks, body);
  const int64_t helpers = std::min<int64_t>(NumThreads(), tasks) - 1;
  if (inside_task || helpers == 0 ||
      !GetPool()->TryRun(&loop, static_cast<int>(helpers))) {
    loop.RunTasks();
  }
  if (loop.failed) std::rethrow_exception(loop.error);
}

}  // namespace p3d
