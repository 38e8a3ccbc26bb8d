// As test_faults.cu, of products by a group of warps: one kernel that is right,
// and others that leave something out of it.
//
//   test_group_faults KERNEL

#include <cstdint>

#include "faults.hpp"
#include "kernels/cuda/async_copy_cuda.hpp"
#include "kernels/cuda/wgmma_cuda.hpp"

namespace {

using p3d::Bf16;
using p3d::cuda::FragmentC;

constexpr int kThreads = p3d::cuda::kGroupLanes;

enum class Fault {
  kNone,
  kNotShown,
  kNotBegun,
  kNotAwaited,
  kOverwritten,
  kOfOneWarp,
  kWithoutOneWarp,
  kNotSwizzled
};

// The sums of 16 products of 2 and 4, which lie in 64 lines each.
template <Fault fault>
struct Multiply {
  __device__ void operator()(int i, float* values) const {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr uint32_t kTwos = 0x40004000, kFours = 0x40804080;
    __shared__ __align__(1024) uint4 a[512], b[512];
    for (int j = i; j < 512; j += kThreads) {
      a[j] = make_uint4(kTwos, kTwos, kTwos, kTwos);
      b[j] = make_uint4(kFours, kFours, kFours, kFours);
    }
    if (fault != Fault::kNotShown) p3d::cuda::ShowToProducts();
    __syncthreads();
    uint64_t from_a = p3d::cuda::MatrixAt(a);
    if (fault == Fault::kNotSwizzled) from_a ^= uint64_t{3} << 62;
    if (fault == Fault::kOfOneWarp && i / 32 == 1) from_a += 8;
    FragmentC sums[1][8] = {};
    if (fault != Fault::kNotBegun) p3d::cuda::BeginProducts(sums);
    if (fault != Fault::kWithoutOneWarp || i / 32 != 2)
      p3d::cuda::Wgmma<Bf16, 64>::Add<true, true>(
          from_a, p3d::cuda::MatrixAt(b), sums[0]);
    p3d::cuda::EndProducts();
    if (fault == Fault::kOverwritten) {
      __syncthreads();
      p3d::cuda::CopyAsync(&b[i], values + i / 4 * 4, true);
      p3d::cuda::EndBatch();
    }
    if (fault != Fault::kNotAwaited) p3d::cuda::AwaitSums(sums);
    p3d::cuda::AwaitBatches<0>();
    values[i] = sums[0][0].v[0];
#endif
  }
};

}  // namespace

int main(int argc, char** argv) {
  return faults::Run(
      argc, argv,
      {
          {"right", faults::Launch<kThreads, Multiply<Fault::kNone>>},
          {"not_shown", faults::Launch<kThreads, Multiply<Fault::kNotShown>>},
          {"not_begun", faults::Launch<kThreads, Multiply<Fault::kNotBegun>>},
          {"not_awaited",
           faults::Launch<kThreads, Multiply<Fault::kNotAwaited>>},
          {"overwritten",
           faults::Launch<kThreads, Multiply<Fault::kOverwritten>>},
          {"of_one_warp",
           faults::Launch<kThreads, Multiply<Fault::kOfOneWarp>>},
          {"without_one_warp",
           faults::Launch<kThreads, Multiply<Fault::kWithoutOneWarp>>},
          {"not_swizzled",
           faults::Launch<kThreads, Multiply<Fault::kNotSwizzled>>},
      });
}
