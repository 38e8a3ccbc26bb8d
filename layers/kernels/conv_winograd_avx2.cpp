#include "kernels/conv_winograd.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
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

inline Vector Broadcast(float f) { return _mm256_set1_ps(f); }
inline Vector Load(const float* p) { return _mm256_loadu_ps(p); }
inline void Store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
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

#include "kernels/conv_winograd_tile-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_avx2", TransformInput,
                                TransformWeights, TransformOutput};

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

const WinogradKernel* WinogradKernelAvx2() {
#if defined(__x86_64__)
  return &kKernel;
#else
  return nullptr;
#endif
}

}  // namespace p3d
