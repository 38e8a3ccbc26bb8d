#ifndef P3D_KERNELS_IM2COL_HPP_
#define P3D_KERNELS_IM2COL_HPP_

#include "kernels/conv/conv.hpp"

namespace p3d {

// What each tap of a convolution sees, in Caffe's order throughout:
//
//   y[n, i, k, p] = x[n, i, p * stride - pad_begin + k * dilation]
//
// x is (num, channels, in...), y (num, channels * taps, out...), k counting
// through the kernel. Outside x lies what pad_mode says; num_output and group
// do not matter.
template <typename Dtype>
void Im2col(const ConvShape& shape, const Dtype* x, Dtype* y);

// Its gradient: dx[n, i, q] = sum of dy[n, i, k, p] over the k and p that saw
// q.
template <typename Dtype>
void Im2colBackward(const ConvShape& shape, const Dtype* dy, Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_IM2COL_HPP_
