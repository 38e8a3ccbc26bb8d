#include "kernels/conv_bf16.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,prfchw"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,prfchw")
// Some versions' own intrinsics trip over these two.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "kernels/lanes_avx2-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv_bf16_emulated-inl.hpp"

const IgemmTileFunctionOf<Bf16> kTiles4x16[] = {
    P3D_TILES_TO_4(P3D_TILES_2, Tile)};
const IgemmKernelOf<Bf16> k4x16 = {"conv_bf16_emulated_4x16_avx2",
                                   false,
                                   4,
                                   3,
                                   kLanes,
                                   2,
                                   kTiles4x16,
                                   nullptr};

}  // namespace
}  // namespace p3d

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif

#endif  // __x86_64__

namespace p3d {

const IgemmKernelOf<Bf16>* const* Bf16KernelsAvx2() {
  static const IgemmKernelOf<Bf16>* const kernels[] = {
#if defined(__x86_64__)
      &k4x16,
#endif
      nullptr};
  return kernels;
}

}  // namespace p3d
