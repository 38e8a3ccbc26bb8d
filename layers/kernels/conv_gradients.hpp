#ifndef P3D_KERNELS_CONV_GRADIENTS_HPP_
#define P3D_KERNELS_CONV_GRADIENTS_HPP_

#include <memory>

#include "kernels/conv.hpp"

namespace p3d {

// The gradients of a convolution on channels-last data (see ConvShape), chosen
// for one shape: create once, run as often as you like. Weights, and what
// belongs to them, are in Caffe's order. All arrays are 64-byte aligned.
// Results do not depend on the number of threads.
template <typename Dtype>
class ConvGradients {
 public:
  virtual ~ConvGradients() = default;

  // The first implementation (fastest first, the plain loops last) that can do
  // `shape` with `isa`. Throws Error for an impossible shape. double has the
  // plain loops alone.
  static std::unique_ptr<ConvGradients> Create(const ConvShape& shape,
                                               Isa isa = ActiveIsa());

  virtual const char* name() const = 0;

  // dx[n, q, i] = sum w[o, i, k] dy[n, p, o]
  //               over all o, k and p at which tap k sees q
  // with `add` += instead of =
  virtual void Data(const Dtype* dy, const Dtype* weights, Dtype* dx,
                    bool add = false) const = 0;

  // dw[o, i, k] += sum over n, p of dy[n, p, o] times what tap k of p sees
  // without `add` = instead of +=: dw need not be cleared before, nor read
  virtual void Weights(const Dtype* dy, const Dtype* x, Dtype* dw,
                       bool add = true) const = 0;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_GRADIENTS_HPP_
