#include "kernels/conv_winograd.hpp"

// Where the machine's baseline has fused multiplications (NEON), use them.
#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif

namespace p3d {
namespace {

// The compilers' own vectors of four: SSE2, NEON or whatever there is.
using Vector = float __attribute__((vector_size(16)));
using Mask = int64_t;
constexpr int kLanes = 4;

inline Vector Broadcast(float f) { return Vector{f, f, f, f}; }
inline Vector Load(const float* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
inline void Store(float* p, Vector v) { __builtin_memcpy(p, &v, sizeof(v)); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) { return a * b + c; }
inline Vector Max(Vector a, Vector b) { return a > b ? a : b; }
inline Mask FirstLanes(int64_t n) { return n; }
inline Vector LoadLanes(const float* p, Mask mask) {
  Vector v = Broadcast(0.f);
  __builtin_memcpy(&v, p, mask * sizeof(float));
  return v;
}
inline void StoreLanes(float* p, Mask mask, Vector v) {
  __builtin_memcpy(p, &v, mask * sizeof(float));
}

#include "kernels/conv_winograd_tile-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_generic", TransformInput,
                                TransformWeights, TransformOutput};

}  // namespace

const WinogradKernel* WinogradKernelGeneric() { return &kKernel; }

}  // namespace p3d

#ifndef __clang__
#pragma GCC pop_options
#endif
