#ifndef P3D_TESTS_PTX_FAULTS_HPP_
#define P3D_TESTS_PTX_FAULTS_HPP_

// Runs one of several kernels, by its name.

#include <cstdio>
#include <map>
#include <string>

#include "kernels/cuda/start_kernel_cuda.hpp"

namespace faults {

template <typename Kernel>
__global__ void RunOne(float* values) {
  Kernel()(threadIdx.x, values);
}

// Blocks of `count` threads, Kernel()(thread, values), and as many values,
// each its own number. Prints what CUDA says of it; 0 if that is nothing, and
// the first value has become `count`. The kernel may begin before what was
// asked for earlier is done if it `overlaps`.
template <int count, typename Kernel, bool overlaps = false, int blocks = 1>
int Launch() {
  float* values = nullptr;
  float ahead[count], after[count];
  for (int i = 0; i < count; ++i) ahead[i] = static_cast<float>(i);
  cudaMalloc(reinterpret_cast<void**>(&values), sizeof(ahead));
  cudaMemcpy(values, ahead, sizeof(ahead), cudaMemcpyHostToDevice);
  p3d::cuda::KernelsOverlap() = overlaps;
  p3d::cuda::StartKernel(RunOne<Kernel>, blocks, count, 0, nullptr, values);
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess)
    error = cudaMemcpy(after, values, sizeof(after), cudaMemcpyDeviceToHost);
  std::printf("%s\n", cudaGetErrorName(error));
  return error != cudaSuccess || after[0] != count;
}

inline int Run(int argc, char** argv,
               const std::map<std::string, int (*)()>& kernels) {
  const auto found = kernels.find(argc > 1 ? argv[1] : "");
  return found == kernels.end() ? 2 : found->second();
}

}  // namespace faults

#endif  // P3D_TESTS_PTX_FAULTS_HPP_
