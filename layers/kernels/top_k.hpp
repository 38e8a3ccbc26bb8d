#ifndef P3D_KERNELS_TOP_K_HPP_
#define P3D_KERNELS_TOP_K_HPP_

#include <cstdint>

#include "kernels/axis_view.hpp"
#include "kernels/cuda/host_device.hpp"

namespace p3d {

// A value and where it lies along its axis.
template <typename Dtype>
struct TopEntry {
  Dtype value;
  int64_t place;

  // A strict order in spite of NaN, which a sort needs.
  P3D_HOST_DEVICE bool Before(const TopEntry& other) const {
    const bool nan = value != value, other_nan = other.value != other.value;
    if (nan != other_nan) return other_nan;
    if (!nan && value != other.value) return value > other.value;
    return place > other.place;
  }
};

// The k largest values x[o, :, i] of each position and where they lie along the
// axis, the largest first; among equal values the last one comes first, as in
// Caffe, and NaN counts as the smallest. indices[o, j, i] and values[o, j, i]
// lie at o * stride + j * inner + i; either may be null. Needs
// 1 <= k <= channels.
template <typename Dtype>
void TopK(const AxisView& view, int64_t k, int64_t stride, const Dtype* x,
          Dtype* indices, Dtype* values);

}  // namespace p3d

#endif  // P3D_KERNELS_TOP_K_HPP_
