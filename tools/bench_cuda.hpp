#ifndef P3D_TOOLS_BENCH_CUDA_HPP_
#define P3D_TOOLS_BENCH_CUDA_HPP_

// What the programs share that time kernels on the GPU. They are compiled by
// nvcc (-x cu); tools/gpu_check.py does so.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/random.hpp"

namespace bench {

using Floats = std::vector<float>;

inline Floats Gaussian(uint64_t seed, int64_t count) {
  Floats values(count);
  p3d::FillGaussian(seed, 0, 1, count, values.data());
  return values;
}

// Throws where a kernel's result is not the CPU's to `tolerance` of the largest
// value.
template <typename Value>
void CheckResult(const std::string& name, const testing::Device<Value>& got,
                 const Floats& want, double tolerance = 1e-4) {
  const std::vector<Value> result = got.values();
  const Floats values(result.begin(), result.end());
  double error = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double distance = std::fabs(values[i] - want[i]);
    error = distance <= error ? error : distance;  // keeps NaN
    largest = std::max<double>(largest, std::fabs(want[i]));
  }
  p3d::Check(error <= tolerance * largest, name, " differs from the CPU's by ",
             error, ", where the largest value is ", largest);
}

// Milliseconds of one launch: the median of many, fewer of a slow one.
template <typename Launch>
double Median(const Launch& launch) {
  using testing::CheckCuda;
  cudaEvent_t begin, end;
  CheckCuda(cudaEventCreate(&begin), "cudaEventCreate");
  CheckCuda(cudaEventCreate(&end), "cudaEventCreate");
  Floats times;
  for (double spent = 0; times.size() < 3 || (times.size() < 50 && spent < 200);
       spent += times.back()) {
    float time = 0;
    cudaEventRecord(begin);
    launch();
    cudaEventRecord(end);
    CheckCuda(cudaEventSynchronize(end), "cudaEventSynchronize");
    CheckCuda(cudaEventElapsedTime(&time, begin, end), "cudaEventElapsedTime");
    times.push_back(time);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Checks `got` against the CPU's result, then times the launch. `work` is in
// bytes or operations; `unit` is a thousand million of them per second. Where
// `peak` is above zero, the share of so many is printed as well.
template <typename Value, typename Launch>
void Report(const std::string& name, double work, const char* unit,
            const testing::Device<Value>& got, const Floats& want,
            const Launch& launch, double tolerance = 1e-4, double peak = 0) {
  launch();
  CheckResult(name, got, want, tolerance);
  const double ms = Median(launch), rate = work / ms * 1e-6;
  std::printf("%-67s %9.4f ms %7.0f %s", name.c_str(), ms, rate, unit);
  if (peak > 0) std::printf(" %3.0f %%", 100 * rate / peak);
  std::printf("\n");
}

}  // namespace bench

#endif  // P3D_TOOLS_BENCH_CUDA_HPP_
