#ifndef P3D_KERNELS_AXIS_VIEW_HPP_
#define P3D_KERNELS_AXIS_VIEW_HPP_

#include <cstdint>

#include "kernels/cuda/host_device.hpp"

namespace p3d {

// An array of any shape seen around one of its axes: the product of the axes
// before it, the axis itself, the product of those behind it. Value [o, c, i]
// lies at (o * channels + c) * inner + i.
struct AxisView {
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;

  int64_t count() const { return outer * channels * inner; }
  // Where value [o, 0, i] of position o * inner + i lies.
  P3D_HOST_DEVICE int64_t start(int64_t position) const {
    return position / inner * channels * inner + position % inner;
  }
};

}  // namespace p3d

#endif  // P3D_KERNELS_AXIS_VIEW_HPP_
