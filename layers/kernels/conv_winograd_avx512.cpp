#include "kernels/conv_winograd.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
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

inline Vector Broadcast(float f) { return _mm512_set1_ps(f); }
inline Vector Load(const float* p) { return _mm512_loadu_ps(p); }
inline void Store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vector Max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
inline Mask FirstLanes(int64_t n) { return static_cast<Mask>((1u << n) - 1); }
inline Vector LoadLanes(const float* p, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, p);
}
inline void StoreLanes(float* p, Mask mask, Vector v) {
  _mm512_mask_storeu_ps(p, mask, v);
}

#include "kernels/conv_winograd_tile-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_avx512", TransformInput,
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

const WinogradKernel* WinogradKernelAvx512() {
#if defined(__x86_64__)
  return &kKernel;
#else
  return nullptr;
#endif
}

}  // namespace p3d
