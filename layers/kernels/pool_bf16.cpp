#include "kernels/pool_bf16.hpp"

#include <algorithm>
#include <cstdint>

#include "kernels/pool_windows.hpp"

namespace p3d {
namespace {

// Integers in the order of the values, so that a maximum is one of integers of
// 16 bits. What is not a number wraps around and lies below all others: as with
// floats, it is never the larger of two.
constexpr int kWrap = 0x7fff - 0x7f80;

inline int16_t Key(Bf16 value) {
  const int16_t bits = static_cast<int16_t>(value.bits);
  const int16_t key = static_cast<int16_t>(bits ^ ((bits >> 15) & 0x7fff));
  return static_cast<int16_t>(key + kWrap);
}

inline Bf16 OfKey(int16_t wrapped) {
  const int16_t key = static_cast<int16_t>(wrapped - kWrap);
  Bf16 value;
  value.bits = static_cast<uint16_t>(key ^ ((key >> 15) & 0x7fff));
  return value;
}

// See pool_lanes.hpp.
template <int kLanes>
void MaxLanes(const PoolRow& row, const PoolRange& range, int64_t step,
              const Bf16* x, Bf16* y) {
  Bf16 lowest;  // that is finite
  lowest.bits = 0xff7f;
  int16_t best[kLanes];
  std::fill_n(best, kLanes, Key(lowest));
  ForEachPixel(row, range, [&](int64_t pixel) {
    const Bf16* in = x + pixel * step;
    for (int i = 0; i < kLanes; ++i) best[i] = std::max(best[i], Key(in[i]));
  });
  for (int i = 0; i < kLanes; ++i) y[i] = OfKey(best[i]);
}

}  // namespace

void MaxPoolBf16(const PoolShape& shape, const Bf16* x, Bf16* y) {
  const int64_t step = shape.channels;
  constexpr int kLanes = 64;
  ForEachWindow(shape, [&](const PoolRow& row, const PoolRange& range,
                           int64_t from, int64_t to, int64_t count) {
    const Bf16* in = x + from;
    Bf16* out = y + to;
    int64_t c = 0;
    for (; c + kLanes <= count; c += kLanes) {
      MaxLanes<kLanes>(row, range, step, in + c, out + c);
    }
    for (; c < count; ++c) MaxLanes<1>(row, range, step, in + c, out + c);
  });
}

}  // namespace p3d
