#include "kernels/conv_igemm.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,prfchw"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,prfchw")
// Some versions' own intrinsics trip over these two.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace p3d {
namespace {

using Vector = __m512;
using Mask = __mmask16;
constexpr int kLanes = 16;

inline Vector Zero() { return _mm512_setzero_ps(); }
inline Vector Broadcast(float f) { return _mm512_set1_ps(f); }
inline Vector Load(const float* p) { return _mm512_loadu_ps(p); }
inline void Store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vector Multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
inline Vector Max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
inline Mask FirstLanes(int64_t n) { return static_cast<Mask>((1u << n) - 1); }
inline Vector LoadLanes(const float* p, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, p);
}
inline void StoreLanes(float* p, Mask mask, Vector v) {
  _mm512_mask_storeu_ps(p, mask, v);
}
inline void FetchNear(const void* p) { __builtin_prefetch(p, 0, 3); }
inline void FetchToWrite(const void* p) { __builtin_prefetch(p, 1, 3); }
inline void FetchFar(const void* p) { __builtin_prefetch(p, 0, 2); }

#include "kernels/conv_igemm_tile-inl.hpp"

const IgemmTileFunction kTiles6x64[] = {P3D_TILES_TO_6(P3D_TILES_4, Tile)};
const IgemmTileFunction kTiles12x32[] = {P3D_TILES_TO_12(P3D_TILES_2, Tile)};
const IgemmTileFunction kOuterTiles12x32[] = {
    P3D_TILES_TO_12(P3D_TILES_2, OuterTile)};
const IgemmTileFunction kDepthwiseTiles6x64[] = {
    P3D_TILES_TO_6(P3D_TILES_4, DepthwiseTile)};

const IgemmKernel k6x64 = {
    "conv_f32_igemm_6x64_avx512", false, 6, 3, kLanes, 4, kTiles6x64, nullptr};
const IgemmKernel k12x32 = {"conv_f32_igemm_12x32_avx512",
                            false,
                            12,
                            5,
                            kLanes,
                            2,
                            kTiles12x32,
                            kOuterTiles12x32};
const IgemmKernel kDepthwise6x64 = {"conv_f32_depthwise_6x64_avx512",
                                    true,
                                    6,
                                    2,
                                    kLanes,
                                    4,
                                    kDepthwiseTiles6x64,
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

const IgemmKernel* const* IgemmKernelsAvx512() {
  static const IgemmKernel* const kernels[] = {
#if defined(__x86_64__)
      &kDepthwise6x64, &k6x64, &k12x32,
#endif
      nullptr};
  return kernels;
}

}  // namespace p3d
