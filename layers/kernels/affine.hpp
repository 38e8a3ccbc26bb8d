#ifndef P3D_KERNELS_AFFINE_HPP_
#define P3D_KERNELS_AFFINE_HPP_

#include <cstdint>

#include "kernels/order.hpp"

namespace p3d {

// Values x[o, d, i] of which d alone chooses a coefficient. Channels of a blob
// in Caffe's order: (num, channels, pixels); channels last: (num * pixels,
// channels, 1).
struct Broadcast {
  int64_t outer = 1;
  int64_t dim = 1;
  int64_t inner = 1;

  static Broadcast Channels(const Geometry& geometry, Order order);
  int64_t count() const { return outer * dim * inner; }
};

//   y[o, d, i] = (x[o, d, i] - center[d]) * scale[d] + shift[d]
//
// A null pointer stands for 0, 1 and 0. Each operation is rounded to Dtype.
// y may be x.
template <typename Dtype>
void ScaleShift(const Broadcast& shape, const Dtype* center, const Dtype* scale,
                const Dtype* shift, const Dtype* x, Dtype* y);

// The gradients of what ScaleShift multiplies and adds (center 0), summed in
// double; a null one is not wanted, and x may be null where dscale is. dx =
// ScaleShift of dy with the same scale.
//
//   dscale[d] += sum of dy[o, d, i] x[o, d, i]
//   dshift[d] += sum of dy[o, d, i]
template <typename Dtype>
void ScaleShiftGradients(const Broadcast& shape, const Dtype* x,
                         const Dtype* dy, Dtype* dscale, Dtype* dshift);

}  // namespace p3d

#endif  // P3D_KERNELS_AFFINE_HPP_
