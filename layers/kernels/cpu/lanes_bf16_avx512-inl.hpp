// The part of lanes_avx512-inl.hpp for bfloat16: words that are pairs of
// values, and vectors of floats that are made of values (see
// conv_igemm_tile-inl.hpp).

using Words = __m512i;
using Word = int __attribute__((may_alias));

inline Words LoadWords(const float* p) { return _mm512_loadu_si512(p); }
inline Words BroadcastWord(const float* p) {
  return _mm512_set1_epi32(*reinterpret_cast<const Word*>(p));
}
inline Vector MultiplyAdd(Words a, Words b, Vector c) {
  return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}

inline Vector Widen(__m256i values) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}
inline __m256i Round(Vector v) { return (__m256i)_mm512_cvtneps_pbh(v); }
inline Vector Load(const Bf16* p) {
  return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline void Store(Bf16* p, Vector v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), Round(v));
}
inline Vector LoadLanes(const Bf16* p, Mask mask) {
  return Widen(_mm256_maskz_loadu_epi16(mask, p));
}
inline void StoreLanes(Bf16* p, Mask mask, Vector v) {
  _mm256_mask_storeu_epi16(p, mask, Round(v));
}
inline void StoreBoth(Bf16* p, Vector first, Vector second) {
  _mm512_storeu_si512(p, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}
// Of the lower half's values and the upper half's in turn.
constexpr uint16_t kInTurn[] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
inline void StoreWords(float* p, Vector first, Vector second) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  _mm512_storeu_si512(
      p, _mm512_permutexvar_epi16(_mm512_loadu_si512(kInTurn), halves));
}
