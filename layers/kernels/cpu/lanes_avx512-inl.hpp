// Vectors of floats and what can be done with them, for source files of one
// instruction set (see conv_igemm_avx512.cpp):
//
//   Vector, kLanes            floats that are computed together, with + - *
//   Zero(), Broadcast(f), Load(p), Store(p, v)
//   MultiplyAdd(a, b, c)      a b + c
//   Multiply(a, b)
//   Max(a, b)                 b where either is not a number
//   Mask, FirstLanes(n)       the first n of kLanes lanes
//   LoadLanes(p, mask), StoreLanes(p, mask, v)
//
// Each such file has its own copy, inside the target region that this opens and
// lanes_end-inl.hpp closes: there is no include guard. With P3D_LANES_BF16
// defined the region has the instructions of bfloat16, too, with P3D_LANES_AMX
// those of matrix registers beside them.

#include <immintrin.h>

#define P3D_TARGET_REGION
#ifdef __clang__
#ifdef P3D_LANES_AMX
#pragma clang attribute push(                                            \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,prfchw," \
                          "amx-tile,amx-bf16"))),                        \
    apply_to = function)
#elif defined(P3D_LANES_BF16)
#pragma clang attribute push(                                               \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,prfchw"))), \
    apply_to = function)
#else
#pragma clang attribute push(__attribute__((target("avx512f,prfchw"))), \
                             apply_to = function)
#endif
#else
#pragma GCC push_options
#ifdef P3D_LANES_AMX
#pragma GCC target( \
    "avx512f,avx512bw,avx512vl,avx512bf16,prfchw,amx-tile,amx-bf16")
#elif defined(P3D_LANES_BF16)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16,prfchw")
#else
#pragma GCC target("avx512f,prfchw")
#endif
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

#if defined(P3D_LANES_BF16) || defined(P3D_LANES_AMX)
#include "kernels/cpu/lanes_bf16_avx512-inl.hpp"
#endif

}  // namespace
}  // namespace p3d
