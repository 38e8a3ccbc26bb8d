// See lanes_avx512-inl.hpp.

#include <immintrin.h>

#define P3D_TARGET_REGION
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

}  // namespace
}  // namespace p3d
