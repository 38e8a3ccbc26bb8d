#include "kernels/cuda/cuda_overlap.hpp"

// The header that this file implements comes first.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/once_per_device.hpp"
#include "kernels/cuda/start_kernel_cuda.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr int kThreads = 128, kBlocks = 64, kValues = kThreads * kBlocks;
constexpr int kSteps = 16;  // an even number: the last one writes to the first

// Of values that other blocks of the kernel before wrote.
__global__ void Step(const int* from, int* to) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  AwaitEarlierKernels();
  to[i] = from[(i * 7 + 1001) % kValues] + 1;
}

// Between them, as in nets: kernels that wait to begin, as those of libraries
// do, and memory that is zeroed.
void LaunchSteps(int* values) {
  ZeroOnDevice(values, kValues * sizeof(int));
  for (int step = 0; step < kSteps; ++step) {
    int* const from = values + step % 2 * kValues;
    int* const to = values + (step + 1) % 2 * kValues;
    if (step % 4 == 2) {
      Step<<<kBlocks, kThreads, 0, DeviceStream()>>>(from, to);
    } else {
      StartKernel<const int*, int*>(Step, kBlocks, kThreads, 0, DeviceStream(),
                                    from, to);
    }
    const cudaError_t error = cudaGetLastError();
    Check(error == cudaSuccess, cudaGetErrorString(error));
    if (step % 4 == 0) ZeroOnDevice(values + 2 * kValues, sizeof(int));
  }
}

bool Right(const int* values) {
  std::vector<int> got(kValues);
  CopyToHost(got.data(), values, kValues * sizeof(int));
  return std::count(got.begin(), got.end(), kSteps) == kValues;
}

bool Try() {
  const std::unique_ptr<int, void (*)(void*)> values(
      static_cast<int*>(DeviceAllocate((2 * kValues + 1) * sizeof(int))),
      DeviceRelease);
  const auto launch = [&] { LaunchSteps(values.get()); };
  launch();
  if (!Right(values.get())) return false;
  const std::unique_ptr<CUgraphExec_st, void (*)(CUgraphExec_st*)> graph(
      CaptureGraph(launch), ReleaseGraph);
  LaunchGraph(graph.get());
  return Right(values.get());
}

bool FindOut() {
  const char* const wish = std::getenv("P3D_OVERLAP");
  if (wish && std::strcmp(wish, "0") == 0) return false;
  // Of the code that this GPU runs: what was compiled for others, and is
  // translated for it, does not wait.
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, Step) != cudaSuccess) {
    cudaGetLastError();  // whoever launches next learns why
    return false;
  }
  if (attributes.ptxVersion < 90) return false;
  bool right = false;
  std::string why = "wrong values";
  KernelsOverlap() = true;
  try {
    right = Try();
  } catch (const Error& error) {
    why = error.what();
  }
  KernelsOverlap() = false;
  if (!right) {
    std::fprintf(stderr,
                 "caffe-p3d: kernels cannot begin while others end on this "
                 "GPU (%s); they wait\n",
                 why.c_str());
  }
  return right;
}

}  // namespace

bool CanOverlap() { return OncePerDevice<FindOut>(DeviceInUse()); }

}  // namespace cuda
}  // namespace p3d
