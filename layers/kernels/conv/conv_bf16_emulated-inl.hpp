// The micro-kernels of bfloat16 where an instruction set multiplies floats
// alone: each value of a pair is a float's upper half. To be included as
// conv_igemm_tile-inl.hpp.

struct Words {
  Vector first, second;
};
using WordBits = uint32_t __attribute__((vector_size(sizeof(Vector))));
using Word = uint32_t __attribute__((may_alias));

// To the nearest, in the upper half; a NaN stays one.
inline WordBits Rounded(Vector v) {
  const WordBits bits = reinterpret_cast<WordBits>(v);
  const WordBits nan = reinterpret_cast<WordBits>(v != v);
  const WordBits nearest = bits + 0x7fffu + (bits >> 16 & 1u);
  return (nan & (bits | 0x400000u)) | (~nan & nearest);
}
inline void StoreWords(float* p, Vector first, Vector second) {
  const WordBits pairs = Rounded(first) >> 16 | (Rounded(second) & 0xffff0000u);
  __builtin_memcpy(p, &pairs, sizeof(pairs));
}
inline Words Separate(WordBits pairs) {
  return {reinterpret_cast<Vector>(pairs << 16),
          reinterpret_cast<Vector>(pairs & 0xffff0000u)};
}
inline Words LoadWords(const float* p) {
  WordBits pairs;
  __builtin_memcpy(&pairs, p, sizeof(pairs));
  return Separate(pairs);
}
inline Words BroadcastWord(const float* p) {
  return Separate(WordBits{} + *reinterpret_cast<const Word*>(p));
}
inline Vector MultiplyAdd(const Words& a, const Words& b, Vector c) {
  return MultiplyAdd(a.first, b.first, MultiplyAdd(a.second, b.second, c));
}

inline Vector Load(const Bf16* p) {
  float values[kLanes];
  for (int i = 0; i < kLanes; ++i) values[i] = p[i];
  return Load(values);
}
inline void Store(Bf16* p, Vector v) {
  float values[kLanes];
  Store(values, v);
  for (int i = 0; i < kLanes; ++i) p[i] = values[i];
}

// 1 in the lanes of the mask, else 0.
struct LaneFlags {
  explicit LaneFlags(Mask mask) { StoreLanes(at, mask, Broadcast(1.f)); }
  float at[kLanes] = {};
};
inline Vector LoadLanes(const Bf16* p, Mask mask) {
  const LaneFlags flags(mask);
  float values[kLanes] = {};
  for (int i = 0; i < kLanes; ++i) {
    if (flags.at[i] != 0) values[i] = p[i];
  }
  return Load(values);
}
inline void StoreLanes(Bf16* p, Mask mask, Vector v) {
  const LaneFlags flags(mask);
  float values[kLanes];
  Store(values, v);
  for (int i = 0; i < kLanes; ++i) {
    if (flags.at[i] != 0) p[i] = values[i];
  }
}

#include "kernels/conv/conv_bf16_tiles-inl.hpp"
