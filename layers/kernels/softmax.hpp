#ifndef P3D_KERNELS_SOFTMAX_HPP_
#define P3D_KERNELS_SOFTMAX_HPP_

#include "kernels/axis_view.hpp"

namespace p3d {

// y[o, c, i] = exp(x[o, c, i] - m) / sum over k of exp(x[o, k, i] - m),
// m the largest of x[o, :, i]. y may be x.
template <typename Dtype>
void Softmax(const AxisView& view, const Dtype* x, Dtype* y);

}  // namespace p3d

#endif  // P3D_KERNELS_SOFTMAX_HPP_
