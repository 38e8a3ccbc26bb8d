#ifndef P3D_KERNELS_TAP_COPY_INL_HPP_
#define P3D_KERNELS_TAP_COPY_INL_HPP_

// How short pieces of planes are copied into panels: inlined, with vectors that
// every compiler has at its baseline.

#include <cstdint>
#include <cstring>

#include "kernels/narrow.hpp"

namespace p3d {
namespace {

template <int kCount>
inline void CopyBlock(const float* from, float* to) {
  std::memcpy(to, from, kCount * sizeof(float));
}

// Most runs are rows of an image: short, but rarely a whole number of vectors.
// Then the last vector overlaps the one before.
inline void CopyRun(const float* from, int64_t length, float* to) {
  if (length >= 16) {
    int64_t i = 0;
    for (; i + 16 <= length; i += 16) CopyBlock<16>(from + i, to + i);
    if (i < length) CopyBlock<16>(from + length - 16, to + length - 16);
  } else if (length >= 4) {
    int64_t i = 0;
    for (; i + 4 <= length; i += 4) CopyBlock<4>(from + i, to + i);
    if (i < length) CopyBlock<4>(from + length - 4, to + length - 4);
  } else {
    for (int64_t i = 0; i < length; ++i) to[i] = from[i];
  }
}

typedef float Float4 __attribute__((vector_size(16)));
typedef uint32_t Mask4 __attribute__((vector_size(16)));

// Not by memcpy: gcc 12 makes halves of MMX registers of that, and leaves x87
// without registers.
template <typename Vector>
inline Vector Load4(const void* from) {
  typedef Vector Unaligned __attribute__((aligned(4), may_alias));
  return *static_cast<const Unaligned*>(from);
}

// Of the values of a (0 to count - 1) and b (count and on) as many as one has.
#ifdef __clang__
#define P3D_SHUFFLE(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define P3D_SHUFFLE(mask, a, b, ...) __builtin_shuffle(a, b, mask{__VA_ARGS__})
#endif
#define P3D_SHUFFLE4(a, b, ...) P3D_SHUFFLE(Mask4, a, b, __VA_ARGS__)

inline Float4 Evens(Float4 a, Float4 b) {
  return P3D_SHUFFLE4(a, b, 0, 2, 4, 6);
}
inline Float4 Odds(Float4 a, Float4 b) {
  return P3D_SHUFFLE4(a, b, 1, 3, 5, 7);
}
inline Float4 LowHalves(Float4 a, Float4 b) {
  return P3D_SHUFFLE4(a, b, 0, 1, 4, 5);
}
inline Float4 HighHalves(Float4 a, Float4 b) {
  return P3D_SHUFFLE4(a, b, 2, 3, 6, 7);
}

// Rows become columns.
inline void Transpose4(Float4 (&v)[4]) {
  const Float4 a = LowHalves(v[0], v[1]), b = LowHalves(v[2], v[3]);
  const Float4 c = HighHalves(v[0], v[1]), d = HighHalves(v[2], v[3]);
  v[0] = Evens(a, b);
  v[1] = Odds(a, b);
  v[2] = Evens(c, d);
  v[3] = Odds(c, d);
}

// The first three values of each of four vectors, side by side in three.
inline void JoinThrees(Float4 (&v)[4]) {
  v[0] = P3D_SHUFFLE4(v[0], v[1], 0, 1, 2, 4);
  v[1] = P3D_SHUFFLE4(v[1], v[2], 1, 2, 4, 5);
  v[2] = P3D_SHUFFLE4(v[2], v[3], 2, 4, 5, 6);
}
#undef P3D_SHUFFLE4

typedef uint16_t Short8 __attribute__((vector_size(16)));

inline void JoinEight(const Bf16* a, const Bf16* b, float* to) {
  typedef Short8 Unaligned __attribute__((aligned(2), may_alias));
  const Short8 first = *reinterpret_cast<const Unaligned*>(a);
  const Short8 second = *reinterpret_cast<const Unaligned*>(b);
  const Short8 low =
      P3D_SHUFFLE(Short8, first, second, 0, 8, 1, 9, 2, 10, 3, 11);
  const Short8 high =
      P3D_SHUFFLE(Short8, first, second, 4, 12, 5, 13, 6, 14, 7, 15);
  std::memcpy(to, &low, sizeof(low));
  std::memcpy(to + 4, &high, sizeof(high));
}

// Words of pairs: a[j] and b[j] side by side in to[j].
inline void JoinPairs(const Bf16* a, const Bf16* b, int64_t length, float* to) {
  if (length < 8) {
    for (int64_t j = 0; j < length; ++j) {
      const Bf16 pair[] = {a[j], b[j]};
      std::memcpy(to + j, pair, sizeof(pair));
    }
    return;
  }
  int64_t j = 0;
  for (; j + 8 <= length; j += 8) JoinEight(a + j, b + j, to + j);
  const int64_t last = length - 8;
  if (j < length) JoinEight(a + last, b + last, to + last);
}
#undef P3D_SHUFFLE

// to[j] = from[j * step]
inline void CopySteps(const float* from, int64_t step, int64_t length,
                      float* to) {
  int64_t j = 0;
  if (step == 2) {
    // Reads one value beyond those it copies, so not the last ones.
    for (; j + 4 < length; j += 4) {
      const Float4 v =
          Evens(Load4<Float4>(from + 2 * j), Load4<Float4>(from + 2 * j + 4));
      std::memcpy(to + j, &v, sizeof(v));
    }
  }
  for (; j < length; ++j) to[j] = from[j * step];
}

// to[j] = from[j] where the mask is all ones, 0 where it is 0; count: of fours.
inline void CopyMasked(const float* from, const uint32_t* mask, int64_t count,
                       float* to) {
  for (int64_t j = 0; j < count; j += 4) {
    const Mask4 v = Load4<Mask4>(from + j) & Load4<Mask4>(mask + j);
    std::memcpy(to + j, &v, sizeof(v));
  }
}

}  // namespace
}  // namespace p3d

#endif  // P3D_KERNELS_TAP_COPY_INL_HPP_
