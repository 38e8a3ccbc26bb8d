#include "kernels/pool_bf16.hpp"

#include "kernels/pool_lanes.hpp"
#include "kernels/pool_windows.hpp"

namespace p3d {

void MaxPoolBf16(const PoolShape& shape, const Bf16* x, Bf16* y) {
  const int64_t step = shape.channels;
  constexpr int kLanes = 32;
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
