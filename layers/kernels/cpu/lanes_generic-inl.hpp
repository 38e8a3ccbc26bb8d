// See lanes_avx512-inl.hpp.

// Where the machine's baseline has fused multiplications (NEON), use them.
#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
// Loads that are moved far ahead need more registers than ARM's processors
// have.
#pragma GCC optimize("fp-contract=fast", "no-schedule-insns")
#pragma GCC diagnostic push
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

}  // namespace
}  // namespace p3d
