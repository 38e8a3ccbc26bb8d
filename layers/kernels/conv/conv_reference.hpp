#ifndef P3D_KERNELS_CONV_REFERENCE_HPP_
#define P3D_KERNELS_CONV_REFERENCE_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv/conv.hpp"

namespace p3d {

// Where the values of a blob lie: the distance in elements from one image,
// channel or step along a spatial axis to the next.
struct BlobStrides {
  int64_t num = 0;
  int64_t channel = 0;
  std::vector<int64_t> axes;

  // Dense (N, C, axes...), as Caffe has it.
  static BlobStrides CaffeOrder(int64_t channels,
                                const std::vector<int64_t>& axes);
  // Dense (N, axes..., C), as the engine has it.
  static BlobStrides ChannelsLast(int64_t channels,
                                  const std::vector<int64_t>& axes);
};

// The formula of ConvShape as plain loops, without epilogue. Weights are in
// Caffe's order; x_strides and y_strides say in which order x and y are. Sums
// are taken in double and rounded once.
template <typename Dtype>
void ConvReference(const ConvShape& shape, const BlobStrides& x_strides,
                   const Dtype* x, const Dtype* weights,
                   const BlobStrides& y_strides, Dtype* y);

// Its gradients, likewise: dx = ... (+= with `add`), dw += ... . dy is the
// gradient of y.
//
//   dx[n, q, i] = sum w[o, i, k] dy[n, p, o]
//                 over all o, k and p with p * stride - pad_begin + k * dil = q
//   dw[o, i, k] += sum over n, p of
//                  dy[n, p, o] x[n, p * stride - pad_begin + k * dil, i]
template <typename Dtype>
void ConvDataGradientReference(const ConvShape& shape,
                               const BlobStrides& y_strides, const Dtype* dy,
                               const Dtype* weights,
                               const BlobStrides& x_strides, Dtype* dx,
                               bool add = false);
template <typename Dtype>
void ConvWeightGradientReference(const ConvShape& shape,
                                 const BlobStrides& y_strides, const Dtype* dy,
                                 const BlobStrides& x_strides, const Dtype* x,
                                 Dtype* dw);

// "conv_f32_reference": does every shape, with any instruction set.
std::unique_ptr<Conv> CreateConvReference(const ConvShape& shape, Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_REFERENCE_HPP_
