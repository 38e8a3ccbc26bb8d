#ifndef P3D_KERNELS_LOSS_FORMULAS_HPP_
#define P3D_KERNELS_LOSS_FORMULAS_HPP_

#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.hpp"
#include "kernels/losses.hpp"
#include "kernels/pointwise_formulas.hpp"

namespace p3d {

// The losses of losses.hpp of one value, and their slopes: written once for the
// host and for GPUs, in double precision.

// Where a target, cut off to an integer, is the one to leave out.
template <typename Dtype>
P3D_HOST_DEVICE bool IsLeftOut(Dtype target, bool has_ignore, int64_t ignore) {
  return has_ignore && std::trunc(target) == static_cast<Dtype>(ignore);
}

P3D_HOST_DEVICE inline double SquaredDistanceOf(double a, double b) {
  const double difference = a - b;
  return difference * difference;
}

P3D_HOST_DEVICE inline double SigmoidCrossEntropyOf(double v, double target) {
  return AboveZero(v) - v * target + std::log1p(std::exp(-std::fabs(v)));
}
P3D_HOST_DEVICE inline double SigmoidCrossEntropySlope(double v,
                                                       double target) {
  return Logistic(v) - target;
}

// What is lost by a score v that should be above 1, or else below -1; nothing
// where it is NaN.
P3D_HOST_DEVICE inline double HingeOf(double v, bool above) {
  const double gap = 1 + (above ? -v : v);
  return gap > 0 ? gap : 0;
}
P3D_HOST_DEVICE inline double HingeLossOf(double v, bool above, bool squared) {
  const double hinge = HingeOf(v, above);
  return squared ? hinge * hinge : hinge;
}
P3D_HOST_DEVICE inline double HingeLossSlope(double v, bool above,
                                             bool squared) {
  const double hinge = HingeOf(v, above);
  const double slope = squared ? 2 * hinge : hinge > 0;
  return above ? -slope : slope;
}

// Of a pair at a squared distance.
P3D_HOST_DEVICE inline double ContrastiveLossOf(bool similar, double squared,
                                                const ContrastiveRule& rule) {
  if (similar) return squared;
  const double gap = rule.margin - (rule.legacy ? squared : std::sqrt(squared));
  if (gap < 0) return 0;
  return rule.legacy ? gap : gap * gap;
}
// What the gradient of the squared distance is multiplied by. A distance d is
// divided by as d + 1e-4, as in Caffe.
P3D_HOST_DEVICE inline double ContrastiveSlope(bool similar, double squared,
                                               const ContrastiveRule& rule) {
  if (similar) return 1;
  const double distance = std::sqrt(squared);
  const double gap = rule.margin - (rule.legacy ? squared : distance);
  if (gap <= 0) return 0;
  return rule.legacy ? -1 : -gap / (distance + 1e-4);
}

}  // namespace p3d

#endif  // P3D_KERNELS_LOSS_FORMULAS_HPP_
