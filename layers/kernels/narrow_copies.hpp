#ifndef P3D_KERNELS_NARROW_COPIES_HPP_
#define P3D_KERNELS_NARROW_COPIES_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

namespace p3d {

// Values of another kind, on the host: rounded where they have fewer digits.
// Value is Bf16 or Fp16. On the GPU: narrow_cuda.hpp.

template <typename Value>
void Narrow(const float* from, int64_t count, Value* to);

template <typename Value>
void Widen(const Value* from, int64_t count, float* to);

// to[n, p, c] = from[n, c, p]
template <typename Value>
void NarrowToChannelsLast(const Geometry& geometry, const float* from,
                          Value* to);

}  // namespace p3d

#endif  // P3D_KERNELS_NARROW_COPIES_HPP_
