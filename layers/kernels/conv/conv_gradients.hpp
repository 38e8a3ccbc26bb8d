#ifndef P3D_KERNELS_CONV_GRADIENTS_HPP_
#define P3D_KERNELS_CONV_GRADIENTS_HPP_

#include <memory>

#include "kernels/conv/conv.hpp"

namespace p3d {

// The gradients of a convolution on channels-last data (see ConvShape), chosen
// for one shape: create once, run as often as you like. Weights, and what
// belongs to them, are in Caffe's order. All arrays are 64-byte aligned.
// Results do not depend on the number of threads.
//
// Values are float, double or Bf16; results, sums and weights then are float,
// and the latter rounded to Bf16 before they are multiplied.
template <typename Value>
class ConvGradients {
 public:
  using Real = RealOf<Value>;
  virtual ~ConvGradients() = default;

  // The first implementation (fastest first, the plain loops last) that can do
  // `shape` with `isa`. Throws Error for an impossible shape. double has the
  // plain loops alone, Bf16 has none: it gets null for absurd shapes, other
  // padding than zeros and groups with an odd number of outputs.
  static std::unique_ptr<const ConvGradients> Create(const ConvShape& shape,
                                                     Isa isa = ActiveIsa());

  virtual const char* name() const = 0;

  // dx[n, q, i] = sum w[o, i, k] dy[n, p, o]
  //               over all o, k and p at which tap k sees q
  // with `add` += instead of =
  virtual void Data(const Value* dy, const Real* weights, Real* dx,
                    bool add = false) const = 0;

  // dw[o, i, k] += sum over n, p of dy[n, p, o] times what tap k of p sees
  // without `add` = instead of +=: dw need not be cleared before, nor read
  virtual void Weights(const Value* dy, const Value* x, Real* dw,
                       bool add = true) const = 0;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_GRADIENTS_HPP_
