#include "kernels/tvl1_rows.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx2-inl.hpp"

namespace p3d {
namespace {

inline Vector Min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
inline Vector SquareRoot(Vector v) { return _mm256_sqrt_ps(v); }
// The upper half of v and the lower one of w.
inline __m256i Between(Vector v, Vector w) {
  return _mm256_castps_si256(_mm256_permute2f128_ps(v, w, 0x21));
}
inline Vector Before(Vector w, Vector v) {
  return _mm256_castsi256_ps(
      _mm256_alignr_epi8(_mm256_castps_si256(v), Between(w, v), 12));
}
inline Vector Behind(Vector v, Vector w) {
  return _mm256_castsi256_ps(
      _mm256_alignr_epi8(Between(v, w), _mm256_castps_si256(v), 4));
}

#include "kernels/tvl1_rows-inl.hpp"

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const Tvl1Rows* Tvl1RowsAvx2() {
#if defined(__x86_64__)
  return &kRows;
#else
  return nullptr;
#endif
}

}  // namespace p3d
