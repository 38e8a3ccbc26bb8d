#include "kernels/tvl1_rows.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

inline Vector Min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
inline Vector SquareRoot(Vector v) { return _mm512_sqrt_ps(v); }
inline Vector Before(Vector w, Vector v) {
  return _mm512_castsi512_ps(
      _mm512_alignr_epi32(_mm512_castps_si512(v), _mm512_castps_si512(w), 15));
}
inline Vector Behind(Vector v, Vector w) {
  return _mm512_castsi512_ps(
      _mm512_alignr_epi32(_mm512_castps_si512(w), _mm512_castps_si512(v), 1));
}

#include "kernels/tvl1_rows-inl.hpp"

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const Tvl1Rows* Tvl1RowsAvx512() {
#if defined(__x86_64__)
  return &kRows;
#else
  return nullptr;
#endif
}

}  // namespace p3d
