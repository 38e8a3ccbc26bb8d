#ifndef P3D_TESTS_KERNELS_TESTING_HPP_
#define P3D_TESTS_KERNELS_TESTING_HPP_

// What the test programs of the kernels share. To add one:
//
//   1. write test_<subject>.cpp with a main that calls Expect for every check
//      and returns Finish();
//   2. walk over a table of ugly cases, and let each message say how to run
//      that case alone;
//   3. take --quick for a reduced table: it runs on an emulated processor.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <vector>

namespace testing {

struct Tally {
  int64_t checks = 0;
  int64_t failures = 0;
};

inline Tally& TheTally() {
  static Tally tally;
  return tally;
}

// Counts a check; prints `message` where it failed. Returns `holds`.
inline bool Expect(bool holds, const std::string& message) {
  Tally& tally = TheTally();
  ++tally.checks;
  if (holds) return true;
  if (++tally.failures <= 20) std::printf("FAILED %s\n", message.c_str());
  return false;
}

// Whether `action` throws an Error (any std::exception) whose text contains
// `part`.
template <typename Action>
void ExpectError(const Action& action, const std::string& part,
                 const std::string& message) {
  try {
    action();
  } catch (const std::exception& error) {
    const bool fits = std::string(error.what()).find(part) != std::string::npos;
    Expect(fits, message + ": the error says '" + error.what() +
                     "' instead of '" + part + "'");
    return;
  }
  Expect(false, message + ": no error");
}

// Whether x87 registers are free. MMX shares them, a compiler may use it for
// vectors unasked, and from then on every long double is NaN.
inline bool LongDoubleWorks() {
  volatile long double one = 1;
  return one + one == 2;
}

// Prints the sum of the checks; the program's exit code.
inline int Finish() {
  Expect(LongDoubleWorks(), "a kernel left long double without registers");
  const Tally& tally = TheTally();
  std::printf("%lld checks, %lld failed\n",
              static_cast<long long>(tally.checks),
              static_cast<long long>(tally.failures));
  return tally.failures > 0 || tally.checks == 0;
}

inline bool HasFlag(int argc, char** argv, const char* flag) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], flag) == 0) return true;
  }
  return false;
}

// `count` values at a 64-byte boundary. Behind their last cache line begins a
// page that nobody may read or write: the process ends there. Around them,
// as far as there is room, are sentinels. They start as NaN, so that what is
// read without having been written shows.
template <typename Value>
class GuardedOf {
 public:
  explicit GuardedOf(int64_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t lines = (count * sizeof(Value) + 63) / 64 * 64;
    const size_t front = kGuard * sizeof(Value);
    const size_t usable = (front + lines + page - 1) / page * page;
    bytes_ = usable + page;
    memory_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED ||
        mprotect(memory_ + usable, page, PROT_NONE) != 0) {
      throw std::bad_alloc();
    }
    end_ = reinterpret_cast<Value*>(memory_ + usable);
    values_ = reinterpret_cast<Value*>(memory_ + usable - lines);
    std::fill(values_ - kGuard, end_, Sentinel());
    std::fill_n(values_, count, std::numeric_limits<float>::quiet_NaN());
  }
  GuardedOf(GuardedOf&& other)
      : count_(other.count_),
        bytes_(other.bytes_),
        memory_(other.memory_),
        values_(other.values_),
        end_(other.end_) {
    other.memory_ = nullptr;
  }
  GuardedOf(const GuardedOf&) = delete;
  GuardedOf& operator=(const GuardedOf&) = delete;
  ~GuardedOf() {
    if (memory_) munmap(memory_, bytes_);
  }

  Value* get() { return values_; }
  const Value* get() const { return values_; }
  int64_t count() const { return count_; }

  bool intact() const {
    const auto untouched = [](Value value) { return value == Sentinel(); };
    return std::all_of(values_ - kGuard, values_, untouched) &&
           std::all_of(values_ + count_, end_, untouched);
  }

 private:
  static constexpr int64_t kGuard = 32;
  static Value Sentinel() { return -1.75e30f; }
  int64_t count_;
  size_t bytes_;
  char* memory_;
  Value* values_;
  Value* end_;
};
using Guarded = GuardedOf<float>;

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_TESTING_HPP_
