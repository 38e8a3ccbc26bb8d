#ifndef P3D_KERNELS_POOL_BF16_HPP_
#define P3D_KERNELS_POOL_BF16_HPP_

#include "kernels/narrow.hpp"
#include "kernels/pool.hpp"
#include "kernels/pool_windows.hpp"

namespace p3d {

// MaxPool of bfloat16 values, channels last, on the host. Nothing is rounded: a
// maximum is one of the values, or the lowest finite bfloat16 where MaxPool
// gives -FLT_MAX.
void MaxPoolBf16(const PoolShape& shape, const Bf16* x, Bf16* y);

// Does one window of `count` neighbouring channels of `step`: pixel p of
// channel i is x[p * step + i].
using MaxWindowBf16Function = void (*)(const PoolRow& row,
                                       const PoolRange& range, int64_t step,
                                       int64_t count, const Bf16* x, Bf16* y);

// A maximum is one of integers of 16 bits, keys in the order of the values:
// those of negative ones have all other bits turned, and what is not a number
// wraps around and lies below all others: as with floats, it is never the
// larger of two.
constexpr int kBf16KeyWrap = 0x7fff - 0x7f80;
// The lowest value that is finite.
constexpr uint16_t kLowestBf16 = 0xff7f;

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_BF16_HPP_
