#ifndef P3D_TESTS_KERNELS_DEVICE_HPP_
#define P3D_TESTS_KERNELS_DEVICE_HPP_

// Memory for the kernels in the .cu files. The test programs of those include
// them, so that one source serves twice: compiled by nvcc (-x cu) it tests the
// GPU; by another compiler the same arithmetic, as loops on the host.

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_launch.hpp"

namespace testing {

#ifdef __CUDACC__

// Throws for a call of CUDA's that failed, be it what went before.
inline void CheckCuda(cudaError_t error, const char* call) {
  p3d::Check(error == cudaSuccess, call, ": ", cudaGetErrorString(error));
}

inline void* Allocate(size_t bytes) {
  void* memory = nullptr;
  CheckCuda(cudaMalloc(&memory, bytes), "cudaMalloc");
  return memory;
}
inline void Release(void* memory) { cudaFree(memory); }
inline void Copy(void* to, const void* from, size_t bytes) {
  CheckCuda(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy");
}

#else

inline void* Allocate(size_t bytes) { return ::operator new(bytes); }
inline void Release(void* memory) { ::operator delete(memory); }
inline void Copy(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

#endif

// How many values behind an aligned address arrays begin that are made from now
// on.
inline int64_t& FirstValue() {
  static int64_t value = 0;
  return value;
}

// An array in the memory that kernels see, 0xff (NaN) where nothing was
// written.
template <typename T>
class Device {
 public:
  explicit Device(int64_t count) : Device(std::vector<T>(count)) {
    if (count == 0) return;
    std::vector<T> blank(count_);
    std::memset(blank.data(), 0xff, bytes());
    Copy(memory_, blank.data(), bytes());
  }
  explicit Device(const std::vector<T>& values)
      : count_(values.size()),
        allocated_(Allocate(bytes() + FirstValue() * sizeof(T))),
        memory_(static_cast<T*>(allocated_) + FirstValue()) {
    Copy(memory_, values.data(), bytes());
  }
  ~Device() { Release(allocated_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  T* get() const { return memory_; }
  void Set(const std::vector<T>& values) const {
    Copy(memory_, values.data(), bytes());
  }
  // Waits for the kernels.
  std::vector<T> values() const {
    std::vector<T> result(count_);
    Copy(result.data(), memory_, bytes());
    return result;
  }

 private:
  size_t bytes() const { return count_ * sizeof(T); }
  size_t count_;
  void* allocated_;
  T* memory_;
};

// What these programs do with their arguments: runs the tests, one per type of
// values, on the case that was given, or else on every case, with arrays that
// begin at each of `starts`.
template <size_t count>
void RunCases(int argc, char** argv, const char* const (&cases)[count],
              std::initializer_list<void (*)(const std::string&)> tests,
              std::initializer_list<int64_t> starts = {0}) {
  const bool given = argc > 1 && argv[1][0] != '-';
  const std::vector<std::string> texts =
      given ? std::vector<std::string>(1, argv[1])
            : std::vector<std::string>(cases, cases + count);
  for (int64_t start : starts) {
    FirstValue() = start;
    for (const std::string& text : texts) {
      for (auto test : tests) test(text);
    }
  }
  FirstValue() = 0;
}

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_DEVICE_HPP_
