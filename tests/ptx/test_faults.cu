// Kernels that do what is undefined on a GPU, one each; and two that do nothing
// of that. test_ptx_machine.py expects what is said of them.
//
//   test_faults KERNEL

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "kernels/async_copy_cuda.hpp"

namespace {

constexpr int kThreads = 64;

struct Right {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[kThreads];
    shared[i] = values[i];
    __syncthreads();
    values[i] = shared[kThreads - 1 - i] + 1;
  }
};

// Every other word: twice as much is moved as is asked for.
struct Strided {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[2 * kThreads];
    shared[2 * i] = values[2 * i % kThreads];
    __syncthreads();
    values[i] = shared[2 * (kThreads - 1 - i)] + 2;
  }
};

struct BehindTheEnd {
  __device__ void operator()(int i, float* values) const { values[i + 1] = 0; }
};

struct FarAway {
  __device__ void operator()(int i, float* values) const {
    values[i + (int64_t{1} << 40)] = 0;
  }
};

struct Unaligned {
  __device__ void operator()(int i, float* values) const {
    reinterpret_cast<double*>(values + 1)[i / 4] = 0;
  }
};

struct BehindSharedMemory {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[kThreads];
    shared[i] = 0;
    __syncthreads();
    // An index that the compiler does not know.
    values[i] = shared[i + (gridDim.x << 6)];
  }
};

struct NeverWritten {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[kThreads];
    if (i > 0) shared[i] = 0;
    __syncthreads();
    values[i] = shared[kThreads - 1 - i];
  }
};

struct ReadTooEarly {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[kThreads];
    shared[i] = values[i];
    values[i] = shared[kThreads - 1 - i];
  }
};

struct ReadByOthers {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[kThreads];
    shared[i] = values[i];
    __syncthreads();
    values[i] = shared[kThreads - 1 - i];
    if (i == kThreads - 1) shared[i] = 0;
  }
};

struct WrittenByOthers {
  __device__ void operator()(int i, float* values) const {
    __shared__ float shared[kThreads];
    shared[i] = values[i];
    __syncthreads();
    const float other = shared[kThreads - 1 - i];
    shared[i] = other;
    __syncthreads();
    values[i] = shared[i];
  }
};

struct BarrierOfSome {
  __device__ void operator()(int i, float* values) const {
    if (i % 2) {
      __syncthreads();
      values[i] = 0;
    } else {
      __syncthreads();
      values[i] = 1;
      __syncthreads();
    }
  }
};

struct BarriersOfWarps {
  __device__ void operator()(int i, float* values) const {
    if (i < 32) {
      __syncthreads();
      values[i] = 0;
    } else {
      values[i] = 1;
      __syncthreads();
    }
  }
};

struct CopyNotAwaited {
  __device__ void operator()(int i, float* values) const {
    __shared__ float4 shared[kThreads / 4];
    if (i < kThreads / 4) {
      p3d::cuda::CopyAsync(&shared[i], values + 4 * i, true);
      p3d::cuda::EndBatch();
    }
    __syncthreads();
    values[i] = shared[i / 4].x;
  }
};

struct CopyOfOthers {
  __device__ void operator()(int i, float* values) const {
    __shared__ float4 shared[kThreads / 4];
    if (i < kThreads / 4) {
      p3d::cuda::CopyAsync(&shared[i], values + 4 * i, true);
      p3d::cuda::EndBatch();
    }
    p3d::cuda::AwaitBatches<0>();
    values[i] = shared[(kThreads - 1 - i) / 4].x;
  }
};

template <typename Kernel>
__global__ void Run(float* values) {
  Kernel()(threadIdx.x, values);
}

template <typename Kernel>
int Launch() {
  float* values = nullptr;
  float ahead[kThreads], after[kThreads];
  for (int i = 0; i < kThreads; ++i) ahead[i] = static_cast<float>(i);
  cudaMalloc(reinterpret_cast<void**>(&values), sizeof(ahead));
  cudaMemcpy(values, ahead, sizeof(ahead), cudaMemcpyHostToDevice);
  Run<Kernel><<<1, kThreads>>>(values);
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess)
    error = cudaMemcpy(after, values, sizeof(after), cudaMemcpyDeviceToHost);
  std::printf("%s\n", cudaGetErrorName(error));
  return error != cudaSuccess || after[0] != kThreads;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, int (*)()> kernels = {
      {"right", Launch<Right>},
      {"strided", Launch<Strided>},
      {"behind_the_end", Launch<BehindTheEnd>},
      {"far_away", Launch<FarAway>},
      {"unaligned", Launch<Unaligned>},
      {"behind_shared_memory", Launch<BehindSharedMemory>},
      {"never_written", Launch<NeverWritten>},
      {"read_too_early", Launch<ReadTooEarly>},
      {"read_by_others", Launch<ReadByOthers>},
      {"written_by_others", Launch<WrittenByOthers>},
      {"barrier_of_some", Launch<BarrierOfSome>},
      {"barriers_of_warps", Launch<BarriersOfWarps>},
      {"copy_not_awaited", Launch<CopyNotAwaited>},
      {"copy_of_others", Launch<CopyOfOthers>},
  };
  const auto found = kernels.find(argc > 1 ? argv[1] : "");
  return found == kernels.end() ? 2 : found->second();
}
