#include "kernels/conv_igemm.hpp"

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
inline Vector Zero() { return Broadcast(0.f); }
inline Vector Load(const float* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
inline void Store(float* p, Vector v) { __builtin_memcpy(p, &v, sizeof(v)); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) { return a * b + c; }
inline Vector Multiply(Vector a, Vector b) { return a * b; }
inline Vector Max(Vector a, Vector b) { return a > b ? a : b; }
inline Mask FirstLanes(int64_t n) { return n; }
inline Vector LoadLanes(const float* p, Mask mask) {
  Vector v = Zero();
  __builtin_memcpy(&v, p, mask * sizeof(float));
  return v;
}
inline void StoreLanes(float* p, Mask mask, Vector v) {
  __builtin_memcpy(p, &v, mask * sizeof(float));
}
inline void FetchNear(const void* p) { __builtin_prefetch(p, 0, 3); }
inline void FetchToWrite(const void* p) { __builtin_prefetch(p, 1, 3); }
inline void FetchFar(const void* p) { __builtin_prefetch(p, 0, 2); }

#include "kernels/conv_igemm_tile-inl.hpp"

const IgemmTileFunction kTiles4x8[] = {P3D_TILES_TO_4(P3D_TILES_2, Tile)};
const IgemmTileFunction kOuterTiles4x8[] = {
    P3D_TILES_TO_4(P3D_TILES_2, OuterTile)};
const IgemmTileFunction kDepthwiseTiles4x8[] = {
    P3D_TILES_TO_4(P3D_TILES_2, DepthwiseTile)};

const IgemmKernel k4x8 = {"conv_f32_igemm_4x8_generic",
                          false,
                          4,
                          4,
                          kLanes,
                          2,
                          kTiles4x8,
                          kOuterTiles4x8};
const IgemmKernel kDepthwise4x8 = {"conv_f32_depthwise_4x8_generic",
                                   true,
                                   4,
                                   3,
                                   kLanes,
                                   2,
                                   kDepthwiseTiles4x8,
                                   nullptr};

}  // namespace

const IgemmKernel* const* IgemmKernelsGeneric() {
  static const IgemmKernel* const kernels[] = {&kDepthwise4x8, &k4x8, nullptr};
  return kernels;
}

}  // namespace p3d

#ifndef __clang__
#pragma GCC pop_options
#endif
