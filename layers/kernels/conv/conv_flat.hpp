#ifndef P3D_KERNELS_CONV_FLAT_HPP_
#define P3D_KERNELS_CONV_FLAT_HPP_

#include "kernels/conv/conv.hpp"

namespace p3d {

// Whether an axis moves nothing: a kernel of 1, no stride, no padding.
bool Still(const ConvAxis& axis);

// The same convolution of the same arrays with two spatial axes, for which
// libraries are tuned best, where it has such a form; else with three. A first
// axis of three that is still becomes part of num, two neighbouring ones that
// are become one. So
//
//   1 x k x k   is   (n l, h, w)   with a k x k kernel,
//   k x 1 x 1   is   (n, l, h w)   with a k x 1 kernel.
//
// Takes one to three axes.
ConvShape Flattened(const ConvShape& shape);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_FLAT_HPP_
