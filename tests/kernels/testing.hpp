#ifndef P3D_TESTS_KERNELS_TESTING_HPP_
#define P3D_TESTS_KERNELS_TESTING_HPP_

// What the test programs of the kernels share. To add one:
//
//   1. write test_<subject>.cpp with a main that calls Expect for every check
//      and returns Finish();
//   2. walk over a table of ugly cases, and let each message say how to run
//      that case alone;
//   3. take --quick for a reduced table: it runs on an emulated processor.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
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

// `count` values at a 64-byte boundary with sentinels before and behind. They
// start as NaN, so that what is read without having been written shows.
template <typename Value>
class GuardedOf {
 public:
  explicit GuardedOf(int64_t count)
      : count_(count), memory_(count + 3 * kGuard, Sentinel()) {
    const uintptr_t first = reinterpret_cast<uintptr_t>(&memory_[kGuard]);
    start_ = kGuard + (64 - first % 64) % 64 / sizeof(Value);
    for (int64_t i = 0; i < count; ++i) {
      get()[i] = std::numeric_limits<float>::quiet_NaN();
    }
  }
  Value* get() { return &memory_[start_]; }
  const Value* get() const { return &memory_[start_]; }
  int64_t count() const { return count_; }

  bool intact() const {
    for (int64_t i = 0; i < static_cast<int64_t>(memory_.size()); ++i) {
      const bool inside = i >= start_ && i < start_ + count_;
      if (!inside && memory_[i] != Sentinel()) return false;
    }
    return true;
  }

 private:
  enum { kGuard = 32 };
  static Value Sentinel() { return -1.75e30f; }
  int64_t count_;
  int64_t start_;
  std::vector<Value> memory_;
};
using Guarded = GuardedOf<float>;

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_TESTING_HPP_
