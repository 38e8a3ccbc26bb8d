#include "kernels/cuda/cuda_overlap.hpp"

// The header that this file implements comes first.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/start_kernel_cuda.hpp"

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

// Kernels of other blocks and threads than Step: none of them wait for room.
void LaunchSteps(cudaStream_t stream, int* values) {
  cudaMemsetAsync(values, 0, kValues * sizeof(int), stream);
  for (int step = 0; step < kSteps; ++step) {
    const int from = step % 2 * kValues, to = kValues - from;
    StartKernel<const int*, int*>(Step, kBlocks, kThreads, 0, stream,
                                  values + from, values + to);
  }
}

bool Right(cudaStream_t stream, const int* values) {
  std::vector<int> got(kValues);
  const bool ran =
      cudaMemcpyAsync(got.data(), values, kValues * sizeof(int),
                      cudaMemcpyDeviceToHost, stream) == cudaSuccess &&
      cudaStreamSynchronize(stream) == cudaSuccess;
  for (const int value : got) {
    if (value != kSteps) return false;
  }
  return ran;
}

bool RightInAGraph(cudaStream_t stream, int* values) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  bool right = cudaStreamBeginCapture(
                   stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
  if (right) {
    LaunchSteps(stream, values);
    right = cudaStreamEndCapture(stream, &graph) == cudaSuccess;
  }
  right = right &&
          cudaGraphInstantiateWithFlags(&executable, graph, 0) == cudaSuccess &&
          cudaGraphLaunch(executable, stream) == cudaSuccess &&
          Right(stream, values);
  if (executable) cudaGraphExecDestroy(executable);
  if (graph) cudaGraphDestroy(graph);
  return right;
}

bool Try(cudaStream_t stream) {
  int* values = nullptr;
  if (cudaMalloc(reinterpret_cast<void**>(&values),
                 2 * kValues * sizeof(int)) != cudaSuccess)
    return false;
  LaunchSteps(stream, values);
  const bool right = Right(stream, values) && RightInAGraph(stream, values);
  cudaFree(values);
  return right;
}

}  // namespace

bool CanOverlap(CUstream_st* stream) {
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
  KernelsOverlap() = true;
  const bool right = Try(stream);
  KernelsOverlap() = false;
  const cudaError_t error = cudaGetLastError();
  if (!right) {
    std::fprintf(stderr,
                 "caffe-p3d: kernels cannot begin while others end on this "
                 "GPU (%s); they wait\n",
                 cudaGetErrorName(error));
  }
  return right;
}

}  // namespace cuda
}  // namespace p3d
