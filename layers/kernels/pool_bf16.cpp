#include "kernels/pool_bf16.hpp"

#include <algorithm>
#include <cstdint>

#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/pool_windows.hpp"

namespace p3d {
namespace {

inline int16_t Key(Bf16 value) {
  const int16_t bits = static_cast<int16_t>(value.bits);
  const int16_t key = static_cast<int16_t>(bits ^ ((bits >> 15) & 0x7fff));
  return static_cast<int16_t>(key + kBf16KeyWrap);
}

inline Bf16 OfKey(int16_t wrapped) {
  const int16_t key = static_cast<int16_t>(wrapped - kBf16KeyWrap);
  Bf16 value;
  value.bits = static_cast<uint16_t>(key ^ ((key >> 15) & 0x7fff));
  return value;
}

// See pool_lanes.hpp.
template <int kLanes>
void MaxLanes(const PoolRow& row, const PoolRange& range, int64_t step,
              const Bf16* x, Bf16* y) {
  Bf16 lowest;
  lowest.bits = kLowestBf16;
  int16_t best[kLanes];
  std::fill_n(best, kLanes, Key(lowest));
  ForEachPixel(row, range, [&](int64_t pixel) {
    const Bf16* in = x + pixel * step;
    for (int i = 0; i < kLanes; ++i) best[i] = std::max(best[i], Key(in[i]));
  });
  for (int i = 0; i < kLanes; ++i) y[i] = OfKey(best[i]);
}

void MaxWindow(const PoolRow& row, const PoolRange& range, int64_t step,
               int64_t count, const Bf16* x, Bf16* y) {
  constexpr int kLanes = 64;
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) {
    MaxLanes<kLanes>(row, range, step, x + c, y + c);
  }
  for (; c < count; ++c) MaxLanes<1>(row, range, step, x + c, y + c);
}

}  // namespace

void MaxPoolBf16(const PoolShape& shape, const Bf16* x, Bf16* y) {
  const MaxWindowBf16Function fast = Bf16KernelsFor(ActiveIsa()).max_window;
  const MaxWindowBf16Function window = fast ? fast : MaxWindow;
  ForEachWindow(shape, [&](const PoolRow& row, const PoolRange& range,
                           int64_t from, int64_t to, int64_t count) {
    window(row, range, shape.channels, count, x + from, y + to);
  });
}

}  // namespace p3d
