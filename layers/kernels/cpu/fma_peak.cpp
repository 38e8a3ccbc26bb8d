#include "kernels/cpu/fma_peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/error.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Defines name(steps), which returns the operations it did. Twelve chains hide
// the latency of two units with up to six cycles, and leave registers for the
// factor where there are sixteen. What is volatile keeps the compiler from
// knowing the values, and from leaving out those that nobody needs.
#define P3D_FMA_LOOP(name, Vector, Splat, MultiplyAdd)             \
  double name(int64_t steps) {                                     \
    volatile float half = .5f;                                     \
    const Vector b = Splat(half);                                  \
    Vector a0 = Splat(half), a1 = Splat(half), a2 = Splat(half);   \
    Vector a3 = Splat(half), a4 = Splat(half), a5 = Splat(half);   \
    Vector a6 = Splat(half), a7 = Splat(half), a8 = Splat(half);   \
    Vector a9 = Splat(half), a10 = Splat(half), a11 = Splat(half); \
    for (int64_t i = 0; i < steps; ++i) {                          \
      a0 = MultiplyAdd(a0, b, b), a1 = MultiplyAdd(a1, b, b);      \
      a2 = MultiplyAdd(a2, b, b), a3 = MultiplyAdd(a3, b, b);      \
      a4 = MultiplyAdd(a4, b, b), a5 = MultiplyAdd(a5, b, b);      \
      a6 = MultiplyAdd(a6, b, b), a7 = MultiplyAdd(a7, b, b);      \
      a8 = MultiplyAdd(a8, b, b), a9 = MultiplyAdd(a9, b, b);      \
      a10 = MultiplyAdd(a10, b, b), a11 = MultiplyAdd(a11, b, b);  \
    }                                                              \
    a0 += a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11;  \
    volatile Vector sink = a0;                                     \
    (void)sink;                                                    \
    return 2. * 12 * (sizeof(Vector) / sizeof(float)) *            \
           static_cast<double>(steps);                             \
  }

#if defined(__x86_64__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif
namespace {
P3D_FMA_LOOP(LoopAvx512, __m512, _mm512_set1_ps, _mm512_fmadd_ps)
}  // namespace
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace {
P3D_FMA_LOOP(LoopAvx2, __m256, _mm256_set1_ps, _mm256_fmadd_ps)
}  // namespace
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

// Where the machine's baseline has fused multiplications (NEON), use them.
#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif
namespace {
using Vector4 = float __attribute__((vector_size(16)));
inline Vector4 Splat4(float f) { return Vector4{f, f, f, f}; }
inline Vector4 MultiplyAdd4(Vector4 a, Vector4 b, Vector4 c) {
  return a * b + c;
}
P3D_FMA_LOOP(LoopGeneric, Vector4, Splat4, MultiplyAdd4)
}  // namespace
#ifndef __clang__
#pragma GCC pop_options
#endif

namespace p3d {
namespace {

using Loop = double (*)(int64_t steps);

Loop LoopOf(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return &LoopAvx512;
  if (isa == Isa::kAvx2) return &LoopAvx2;
#endif
  (void)isa;
  return &LoopGeneric;
}

}  // namespace

double FmaPeak(Isa isa, double seconds) {
  const std::vector<Isa>& supported = SupportedIsas();
  Check(std::find(supported.begin(), supported.end(), isa) != supported.end(),
        "this machine cannot run the instruction set '", IsaName(isa), "'");
  using Clock = std::chrono::steady_clock;
  const Loop loop = LoopOf(isa);
  const int threads = NumThreads();
  constexpr int64_t kSteps = 1000000;  // some milliseconds
  const Clock::time_point begin = Clock::now();
  double best = 0, spent = 0;
  do {
    const Clock::time_point start = Clock::now();
    ParallelFor(threads, [loop](int64_t) { loop(kSteps); });
    const std::chrono::duration<double> burst = Clock::now() - start;
    const double operations = loop(1) * kSteps * threads;
    best = std::max(best, operations / burst.count() / 1e9);
    spent = std::chrono::duration<double>(Clock::now() - begin).count();
  } while (spent < seconds);
  return best;
}

}  // namespace p3d
