#ifndef P3D_KERNELS_CONV_PLANAR_HPP_
#define P3D_KERNELS_CONV_PLANAR_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv.hpp"
#include "kernels/cpu/isa.hpp"

namespace p3d {

// The convolution of ConvShape and its gradients in Caffe's order, where each
// channel is a plane: x (num, channels, in...), y (num, num_output, out...),
// weights (num_output, channels / group, kernel...). Everything is read where
// it lies, weights included, so nothing has to be kept from one call to the
// next. Only zero padding.
//
// All calls may be made from several threads at once. Results do not depend on
// the number of threads. No pointer needs to be aligned.
template <typename Dtype>
class PlanarConv {
 public:
  virtual ~PlanarConv() = default;

  // The first implementation in the table (fastest first, the plain loops last)
  // that can do `shape` with `isa`. Throws Error for an impossible shape and
  // for replicated padding.
  static std::unique_ptr<PlanarConv> Create(const ConvShape& shape,
                                            Isa isa = ActiveIsa());

  // "planar_f32_6x64_avx512", ... , "planar_reference".
  virtual const char* name() const = 0;

  // y[n, o, p] = bias[o] + sum w[o, i, k] x[n, i, p * stride - pad + k * dil]
  // A null bias stands for 0.
  virtual void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias,
                       Dtype* y) const = 0;

  // dx[n, i, q] = sum w[o, i, k] dy[n, o, p]
  // over all o, k and p with p * stride - pad + k * dil = q.
  virtual void BackwardData(const Dtype* dy, const Dtype* weights,
                            Dtype* dx) const = 0;

  // dw[o, i, k] += sum over n and p of
  // dy[n, o, p] x[n, i, p * stride - pad + k * dil]
  virtual void BackwardWeights(const Dtype* dy, const Dtype* x,
                               Dtype* dw) const = 0;
};

// dbias[o] += sum over n and p of dy[n, o, p], added up in double.
template <typename Dtype>
void PlanarBiasGradient(int64_t num, int64_t num_output, int64_t pixels,
                        const Dtype* dy, Dtype* dbias);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_PLANAR_HPP_
