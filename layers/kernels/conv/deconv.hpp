#ifndef P3D_KERNELS_DECONV_HPP_
#define P3D_KERNELS_DECONV_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv.hpp"

namespace p3d {

// The transposed convolution: what the convolution `shape` does with gradients.
// It reads the convolution's outputs and writes its inputs, so here x is
// (num, out..., num_output) and y (num, in..., channels), channels last:
//
//   y[n, q, i] = sum over outputs o of i's group, taps k and pixels p with
//                p * stride - pad_begin + k * dilation = q of
//                w[o, i, k] * x[n, p, o]
//
// Weights are in Caffe's order (num_output, channels / group, kernel...), as
// the convolution's. Padding is cut off the result; pad_mode has to be kZero.

// Throws Error where CheckConvShape does, for replicated padding, and unless
// each in is stride (out - 1) + dilation (kernel - 1) + 1 - pad_begin -
// pad_end.
void CheckDeconvShape(const ConvShape& shape);

// The formula as plain loops, summed in double.
template <typename Dtype>
void DeconvReference(const ConvShape& shape, const Dtype* x,
                     const Dtype* weights, Dtype* y);

// The float version: all products of one pixel by one matrix multiplication (a
// 1x1 convolution with num_output inputs and channels * taps outputs), then
// each pixel of y gathers its own.
class Deconv {
 public:
  explicit Deconv(const ConvShape& shape);

  const char* name() const { return products_->name(); }
  int64_t packed_size() const { return products_->packed_size(); }
  // See Conv; never equal to a convolution's.
  uint64_t pack_key() const { return ~products_->pack_key(); }
  void Pack(const float* weights, float* packed) const;
  void Unpack(const float* packed, float* weights) const;

  // Floats of scratch memory.
  int64_t workspace_size() const;
  // Adds shift[i] unless it is null. x, packed, y and workspace are 64-byte
  // aligned.
  void Run(const float* x, const float* packed, const float* shift, float* y,
           float* workspace) const;

 private:
  ConvShape shape_;
  std::unique_ptr<Conv> products_;  // of one image
};

}  // namespace p3d

#endif  // P3D_KERNELS_DECONV_HPP_
