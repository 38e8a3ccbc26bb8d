#include "kernels/cuda/wgmma_cuda.hpp"

// The header that this file implements comes first.
#include <cstdio>
#include <vector>

#include "kernels/conv/mma_group_tile_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/cuda/once_per_device.hpp"

namespace p3d {
namespace cuda {

#ifdef __CUDACC__

namespace {

constexpr int kRows = 64, kColumns = 128, kDepth = 64;

// Value k of a row of a or a column of b: different ones everywhere, and of so
// few bits that sums are exact.
template <bool of_b>
__host__ __device__ float ValueOf(int outer, int k) {
  return static_cast<float>(of_b ? (outer * 5 + k * 11) % 29 - 14
                                 : (outer * 7 + k * 13) % 31 - 15);
}

// By a group of warps.
template <bool of_b, typename Value, int side, bool along>
__device__ void Fill(GroupOperand<Value, side, along>* operand) {
  using Operand = GroupOperand<Value, side, along>;
  for (int i = threadIdx.x; i < side * 8; i += kGroupLanes) {
    const int line = Operand::Line(i), first = Operand::First(i);
    Values<Value, Operand::kPiece> piece;
    for (int j = 0; j < Operand::kPiece; ++j) {
      piece.v[j] = along ? ValueOf<of_b>(line, first + j)
                         : ValueOf<of_b>(first + j, line);
    }
    operand->pieces[Operand::Place(i)] = piece;
  }
}

// sums[row][column], by a block of kGroupLanes.
template <typename Value, bool along_a, bool along_b>
__global__ void TryProducts(float* sums) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  __shared__ __align__(1024) GroupOperand<Value, kRows, along_a> a;
  __shared__ __align__(1024) GroupOperand<Value, kColumns, along_b> b;
  Fill<false>(&a);
  Fill<true>(&b);
  ShowToProducts();
  __syncthreads();
  AwaitEarlierKernels();
  FragmentC c[1][kColumns / 8] = {};
  BeginProducts(c);
#pragma unroll
  for (int k = 0; k < kDepth; k += kWgmmaDepth) {
    Wgmma<Value, kColumns>::template Add<along_a, along_b>(
        a.From(0) + a.Step(k), b.From(0) + b.Step(k), c[0]);
  }
  EndProducts();
  AwaitSums(c);
  const int lane = threadIdx.x;
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = lane / 32 * 16 + lane % 32 / 4 + i / 2 % 2 * 8;
    const int column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    sums[row * kColumns + column] = c[0][i / 4].v[i % 4];
  }
#endif
}

// Whether the GPU runs it, and makes the right sums.
template <typename Value, bool along_a, bool along_b>
bool Right() {
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(
          &attributes, TryProducts<Value, along_a, along_b>) != cudaSuccess) {
    cudaGetLastError();  // it is another one's
    return false;
  }
  std::vector<float> sums(kRows * kColumns);
  const size_t bytes = sums.size() * sizeof(float);
  float* device = nullptr;
  if (cudaMalloc(&device, bytes) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  TryProducts<Value, along_a, along_b><<<1, kGroupLanes>>>(device);
  const bool ran = cudaGetLastError() == cudaSuccess &&
                   cudaMemcpy(sums.data(), device, bytes,
                              cudaMemcpyDeviceToHost) == cudaSuccess;
  cudaFree(device);
  if (!ran) return false;  // whoever launches next learns why
  bool right = true;
  for (int i = 0; right && i < kRows * kColumns; ++i) {
    float want = 0;
    for (int k = 0; k < kDepth; ++k)
      want += ValueOf<false>(i / kColumns, k) * ValueOf<true>(i % kColumns, k);
    right = sums[i] == want;
  }
  if (!right) {
    std::fprintf(stderr,
                 "caffe-p3d: this GPU's products by groups of warps are not "
                 "what they should be; products by warps are used\n");
  }
  return right;
}

bool Try() {
  return Right<Bf16, true, true>() && Right<Bf16, true, false>() &&
         Right<Bf16, false, false>() && Right<Fp16, true, true>();
}

}  // namespace

bool HasWgmma() {
  int device = 0;
  return cudaGetDevice(&device) == cudaSuccess && OncePerDevice<Try>(device);
}

#else  // as loops on the host

bool HasWgmma() { return true; }

#endif  // __CUDACC__

}  // namespace cuda
}  // namespace p3d
