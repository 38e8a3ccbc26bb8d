#include "kernels/conv/put_taps.hpp"

#include <cstring>

#include "kernels/conv/tap_copy-inl.hpp"

namespace p3d {
namespace {

// to = or += from, four of them.
template <bool kAdd>
inline void Put4(Float4 from, float* to) {
  if (kAdd) from += Load4<Float4>(to);
  std::memcpy(to, &from, sizeof(from));
}
template <bool kAdd>
inline void Put(float from, float* to) {
  *to = kAdd ? *to + from : from;
}

// For four i, from `from` on.
template <bool kAdd>
inline void PutFour(const float* from, int64_t pitch, int64_t taps, float* to) {
  Float4 v[4] = {};
  int64_t k = 0;
  for (; k + 4 <= taps; k += 4) {
    for (int j = 0; j < 4; ++j) v[j] = Load4<Float4>(from + (k + j) * pitch);
    Transpose4(v);
    for (int j = 0; j < 4; ++j) Put4<kAdd>(v[j], to + j * taps + k);
  }
  if (taps == 3) {
    for (int j = 0; j < 3; ++j) v[j] = Load4<Float4>(from + j * pitch);
    Transpose4(v);
    JoinThrees(v);
    for (int j = 0; j < 3; ++j) Put4<kAdd>(v[j], to + 4 * j);
    return;
  }
  for (; k < taps; ++k) {
    for (int j = 0; j < 4; ++j) {
      Put<kAdd>(from[k * pitch + j], to + j * taps + k);
    }
  }
}

template <bool kAdd>
void Put(const TapRows& rows, float* to) {
  const int64_t taps = rows.taps;
  int64_t i = 0;
  if (taps == 1) {
    for (; i < rows.count; ++i) Put<kAdd>(rows.data[i], to + i);
  }
  for (; i + 4 <= rows.count; i += 4) {
    PutFour<kAdd>(rows.data + i, rows.pitch, taps, to + i * taps);
  }
  for (; i < rows.count; ++i) {
    for (int64_t k = 0; k < taps; ++k) {
      Put<kAdd>(rows.data[k * rows.pitch + i], to + i * taps + k);
    }
  }
}

}  // namespace

void PutTaps(const TapRows& rows, float* to, bool add) {
  if (add) {
    Put<true>(rows, to);
  } else {
    Put<false>(rows, to);
  }
}

}  // namespace p3d
