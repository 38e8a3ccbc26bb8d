#ifndef P3D_KERNELS_TOP_K_HPP_
#define P3D_KERNELS_TOP_K_HPP_

#include <cstdint>

#include "kernels/axis_view.hpp"

namespace p3d {

// The k largest values x[o, :, i] of each position and where they lie along the
// axis, the largest first; among equal values the last one comes first, as in
// Caffe, and NaN counts as the smallest. indices and values have the shape
// (outer, k, inner); either may be null. Needs 1 <= k <= channels.
template <typename Dtype>
void TopK(const AxisView& view, int64_t k, const Dtype* x, Dtype* indices,
          Dtype* values);

}  // namespace p3d

#endif  // P3D_KERNELS_TOP_K_HPP_
