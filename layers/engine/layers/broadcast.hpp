#ifndef P3D_ENGINE_LAYERS_BROADCAST_HPP_
#define P3D_ENGINE_LAYERS_BROADCAST_HPP_

#include "engine/blob.hpp"
#include "kernels/affine.hpp"

namespace p3d {

// Coefficients that cover some axes of a bottom, as Scale and Bias have them:
// those from `axis` on, as many as the coefficients' blob has.

// The shape of a learned coefficients' blob: the bottom's axes [axis, axis +
// num_axes), all that follow where num_axes is -1. Throws Error where the
// bottom does not have them.
template <typename Dtype>
Shape CoefficientShape(const Blob<Dtype>& bottom, int64_t axis,
                       int64_t num_axes);

// Throws Error unless the coefficients' axes are the bottom's from `axis` on.
template <typename Dtype>
void CheckCoefficients(const Blob<Dtype>& bottom, int64_t axis,
                       const Blob<Dtype>& coefficients);

// Whether there is one coefficient per channel.
template <typename Dtype>
bool IsPerChannel(const Blob<Dtype>& bottom, int64_t axis,
                  const Blob<Dtype>& coefficients);

// How the bottom's values and the coefficients belong together, and the order
// of the values for which that is so: `held`, in which they lie, if possible.
struct Placement {
  Broadcast broadcast;
  Order order = Order::kCaffe;
};
template <typename Dtype>
Placement Place(const Blob<Dtype>& bottom, int64_t axis,
                const Blob<Dtype>& coefficients, Order held);

// A bottom's diff, set to 0 for gradients to be added.
template <typename Dtype>
Dtype* ZeroDiff(Blob<Dtype>* blob, Side side = Side::kHost);

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_BROADCAST_HPP_
