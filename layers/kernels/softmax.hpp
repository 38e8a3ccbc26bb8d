#ifndef P3D_KERNELS_SOFTMAX_HPP_
#define P3D_KERNELS_SOFTMAX_HPP_

#include "kernels/axis_view.hpp"

namespace p3d {

// y[o, c, i] = exp(x[o, c, i] - m) / sum over k of exp(x[o, k, i] - m),
// m the largest of x[o, :, i]. y may be x.
template <typename Dtype>
void Softmax(const AxisView& view, const Dtype* x, Dtype* y);

// dx = y (dy - sum over k of dy[o, k, i] y[o, k, i]), from y = softmax(x). dx
// may be dy.
template <typename Dtype>
void SoftmaxBackward(const AxisView& view, const Dtype* y, const Dtype* dy,
                     Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_SOFTMAX_HPP_
