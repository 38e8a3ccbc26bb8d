#ifndef P3D_KERNELS_POOL_BF16_HPP_
#define P3D_KERNELS_POOL_BF16_HPP_

#include "kernels/narrow.hpp"
#include "kernels/pool.hpp"

namespace p3d {

// MaxPool of bfloat16 values, channels last, on the host. Nothing is rounded: a
// maximum is one of the values, or the lowest finite bfloat16 where MaxPool
// gives -FLT_MAX.
void MaxPoolBf16(const PoolShape& shape, const Bf16* x, Bf16* y);

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_BF16_HPP_
