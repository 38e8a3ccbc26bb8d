// Kernels that do what is undefined on a GPU, one each; and some that do
// nothing of that. test_ptx_machine.py expects what is said of them.
//
//   test_faults KERNEL

#include <cstdint>

#include "faults.hpp"
#include "kernels/cuda/async_copy_cuda.hpp"

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

// Of global memory.
struct ReadsOfOthers {
  __device__ void operator()(int i, float* values) const {
    values[i] = kThreads;
    const float other = values[kThreads - 1 - i];
    __syncthreads();
    values[i] = other;
  }
};

struct WritesForOthers {
  __device__ void operator()(int i, float* values) const {
    const float value = i < kThreads / 2 ? values[i] : kThreads;
    if (i >= kThreads / 2) values[i - kThreads / 2] = value;
    __syncthreads();
    if (i < kThreads / 2) values[i + kThreads / 2] = value;
  }
};

struct BlocksTogether {
  __device__ void operator()(int i, float* values) const {
    if (i == 0) values[0] = kThreads;
  }
};

// Bytes side by side are no others' business.
struct Bytes {
  __device__ void operator()(int i, float* values) const {
    char* const bytes = reinterpret_cast<char*>(values);
    const char byte = bytes[i];
    __syncthreads();
    bytes[i] = byte;
    __syncthreads();
    if (i == 0) values[0] = kThreads;
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

// That begin while an earlier kernel may still run.
enum class Awaits { kFirst, kLate, kOfSome, kNextFirst };

template <Awaits awaits>
struct BesideOthers {
  __device__ void operator()(int i, float* values) const {
    if (awaits == Awaits::kNextFirst) {
#if __CUDA_ARCH__ >= 900
      asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
    }
    if (awaits == Awaits::kOfSome && i == 3) return;
    if (awaits != Awaits::kLate) p3d::cuda::AwaitEarlierKernels();
    values[i] = kThreads;
    if (awaits == Awaits::kLate) p3d::cuda::AwaitEarlierKernels();
  }
};

}  // namespace

int main(int argc, char** argv) {
  return faults::Run(
      argc, argv,
      {
          {"right", faults::Launch<kThreads, Right>},
          {"strided", faults::Launch<kThreads, Strided>},
          {"behind_the_end", faults::Launch<kThreads, BehindTheEnd>},
          {"far_away", faults::Launch<kThreads, FarAway>},
          {"unaligned", faults::Launch<kThreads, Unaligned>},
          {"behind_shared_memory",
           faults::Launch<kThreads, BehindSharedMemory>},
          {"never_written", faults::Launch<kThreads, NeverWritten>},
          {"read_too_early", faults::Launch<kThreads, ReadTooEarly>},
          {"read_by_others", faults::Launch<kThreads, ReadByOthers>},
          {"written_by_others", faults::Launch<kThreads, WrittenByOthers>},
          {"reads_of_others", faults::Launch<kThreads, ReadsOfOthers>},
          {"writes_for_others", faults::Launch<kThreads, WritesForOthers>},
          {"blocks_together",
           faults::Launch<kThreads, BlocksTogether, false, 2>},
          {"bytes", faults::Launch<kThreads, Bytes>},
          {"barrier_of_some", faults::Launch<kThreads, BarrierOfSome>},
          {"barriers_of_warps", faults::Launch<kThreads, BarriersOfWarps>},
          {"copy_not_awaited", faults::Launch<kThreads, CopyNotAwaited>},
          {"copy_of_others", faults::Launch<kThreads, CopyOfOthers>},
          {"earlier_awaited",
           faults::Launch<kThreads, BesideOthers<Awaits::kFirst>, true>},
          {"earlier_awaited_late",
           faults::Launch<kThreads, BesideOthers<Awaits::kLate>, true>},
          {"earlier_awaited_by_some",
           faults::Launch<kThreads, BesideOthers<Awaits::kOfSome>, true>},
          {"next_begins_too_early",
           faults::Launch<kThreads, BesideOthers<Awaits::kNextFirst>, true>},
      });
}
