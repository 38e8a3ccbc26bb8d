#include "kernels/conv_igemm.hpp"

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

namespace p3d {
namespace {

using Vector = __m256;
using Mask = __m256i;
constexpr int kLanes = 8;

inline Vector Zero() { return _mm256_setzero_ps(); }
inline Vector Broadcast(float f) { return _mm256_set1_ps(f); }
inline Vector Load(const float* p) { return _mm256_loadu_ps(p); }
inline void Store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline Vector Multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
inline Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
inline Mask FirstLanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vector LoadLanes(const float* p, Mask mask) {
  return _mm256_maskload_ps(p, mask);
}
inline void StoreLanes(float* p, Mask mask, Vector v) {
  _mm256_maskstore_ps(p, mask, v);
}
inline void FetchNear(const void* p) { __builtin_prefetch(p, 0, 3); }
inline void FetchToWrite(const void* p) { __builtin_prefetch(p, 1, 3); }
inline void FetchFar(const void* p) { __builtin_prefetch(p, 0, 2); }

#include "kernels/conv_igemm_tile-inl.hpp"

const IgemmTileFunction kTiles6x16[] = {P3D_TILES_TO_6(P3D_TILES_2, Tile)};
const IgemmTileFunction kOuterTiles6x16[] = {
    P3D_TILES_TO_6(P3D_TILES_2, OuterTile)};
const IgemmTileFunction kDepthwiseTiles6x16[] = {
    P3D_TILES_TO_6(P3D_TILES_2, DepthwiseTile)};

const IgemmKernel k6x16 = {"conv_f32_igemm_6x16_avx2",
                           false,
                           6,
                           4,
                           kLanes,
                           2,
                           kTiles6x16,
                           kOuterTiles6x16};
const IgemmKernel kDepthwise6x16 = {"conv_f32_depthwise_6x16_avx2",
                                    true,
                                    6,
                                    3,
                                    kLanes,
                                    2,
                                    kDepthwiseTiles6x16,
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

const IgemmKernel* const* IgemmKernelsAvx2() {
  static const IgemmKernel* const kernels[] = {
#if defined(__x86_64__)
      &kDepthwise6x16, &k6x16,
#endif
      nullptr};
  return kernels;
}

}  // namespace p3d
