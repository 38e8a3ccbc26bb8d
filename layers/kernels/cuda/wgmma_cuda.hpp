#ifndef P3D_KERNELS_WGMMA_CUDA_HPP_
#define P3D_KERNELS_WGMMA_CUDA_HPP_

// Products of matrices by the 128 lanes of a warp group together, on the tensor
// cores of GPUs of compute capability 9.0 and of those alone: sums += a * b,
// where a has 64 rows, b has 64 or 128 columns and both are 16 values deep.
// PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions".
//
// Both are read from shared memory, in the layout that the PTX ISA calls
// swizzled by 128 bytes: lines of 128 bytes, in which piece number p of 16
// bytes lies at place p ^ (line % 8), in blocks of eight lines that begin at
// multiples of 1024 bytes. Lines are rows of a (columns of b) that hold values
// along k; or else of one k each, across the rows: 64 of them, and those of the
// next 64 rows lie behind the last line.
//
// Warp w of a group has rows 16 * w to 16 * w + 15 of the sums, as fragments of
// eight columns that are dealt out to its lanes as mma_cuda.hpp says. Products
// go on by themselves: until they were waited for, nobody writes to what they
// read, or looks at sums.

#include <cstdint>

#include "kernels/cuda/mma_cuda.hpp"

namespace p3d {
namespace cuda {

// Whether the GPU in use has the instructions, and is right in what it makes of
// them: a small product is tried once for every kind of values.
bool HasWgmma();

constexpr int kGroupLanes = 128;
constexpr int kWgmmaDepth = 16;  // of k

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// What the thread wrote into shared memory by other means will be seen by
// products that begin after the next barrier.
__device__ inline void ShowToProducts() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// Nothing moves a use of the sums across this.
template <int m, int n>
__device__ void HoldSums(FragmentC (&sums)[m][n]) {
#pragma unroll
  for (int i = 0; i < 4 * m * n; ++i)
    asm volatile("" : "+f"(sums[i / 4 / n][i / 4 % n].v[i % 4])::"memory");
}
// Before the first product of a batch, of those sums.
template <int m, int n>
__device__ void BeginProducts(FragmentC (&sums)[m][n]) {
  HoldSums(sums);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void EndProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits for all batches of the warp.
template <int m, int n>
__device__ void AwaitSums(FragmentC (&sums)[m][n]) {
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  HoldSums(sums);
}

// "Matrix Descriptor Format": of what lies there; `apart`: from the lines of 64
// rows to those of the next 64, if lines go across, in bytes.
__device__ inline uint64_t MatrixAt(const void* shared, int apart = 16) {
  constexpr uint64_t kBlock = 1024, kSwizzled = uint64_t{1} << 62;
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  return (at & 0x3ffff) >> 4 | static_cast<uint64_t>(apart) >> 4 << 16 |
         kBlock >> 4 << 32 | kSwizzled;
}

template <typename Value, int columns>
struct Wgmma;

#define P3D_SUMS_4(i) \
  "+f"(c[i].v[0]), "+f"(c[i].v[1]), "+f"(c[i].v[2]), "+f"(c[i].v[3])
#define P3D_SUMS_32(i)                                                    \
  P3D_SUMS_4(i), P3D_SUMS_4(i + 1), P3D_SUMS_4(i + 2), P3D_SUMS_4(i + 3), \
      P3D_SUMS_4(i + 4), P3D_SUMS_4(i + 5), P3D_SUMS_4(i + 6),            \
      P3D_SUMS_4(i + 7)
#define P3D_SUMS_64(i) P3D_SUMS_32(i), P3D_SUMS_32(i + 8)
#define P3D_NAMES_32                                                   \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18," \
  "%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define P3D_NAMES_64                                                  \
  P3D_NAMES_32                                                        \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
  "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"

// `along`: whether lines hold values along k.
#define P3D_WGMMA(Value, kind, columns, names, a_name, b_name, sums, across_a, \
                  across_b)                                                    \
  template <>                                                                  \
  struct Wgmma<Value, columns> {                                               \
    template <bool along_a, bool along_b>                                      \
    static __device__ void Add(uint64_t a, uint64_t b, FragmentC* c) {         \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns                \
                   "k16.f32." kind "." kind " {" names "}, " a_name            \
                   ", " b_name ", 1, 1, 1, " across_a ", " across_b ";"        \
                   : sums                                                      \
                   : "l"(a), "l"(b), "n"(!along_a), "n"(!along_b)              \
                   : "memory");                                                \
    }                                                                          \
  }
#define P3D_WGMMA_64(Value, kind)                                        \
  P3D_WGMMA(Value, kind, 64, P3D_NAMES_32, "%32", "%33", P3D_SUMS_32(0), \
            "%34", "%35")
#define P3D_WGMMA_128(Value, kind)                                        \
  P3D_WGMMA(Value, kind, 128, P3D_NAMES_64, "%64", "%65", P3D_SUMS_64(0), \
            "%66", "%67")
P3D_WGMMA_64(Bf16, "bf16");
P3D_WGMMA_64(Fp16, "f16");
P3D_WGMMA_128(Bf16, "bf16");
P3D_WGMMA_128(Fp16, "f16");
#undef P3D_WGMMA_128
#undef P3D_WGMMA_64
#undef P3D_WGMMA
#undef P3D_NAMES_64
#undef P3D_NAMES_32
#undef P3D_SUMS_64
#undef P3D_SUMS_32
#undef P3D_SUMS_4

#endif

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_WGMMA_CUDA_HPP_
