#ifndef P3D_KERNELS_SOFTMAX_HPP_
#define P3D_KERNELS_SOFTMAX_HPP_

#include <cstdint>

namespace p3d {

// An array (outer, channels, inner) of which the middle axis is normalised.
struct SoftmaxShape {
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
};

// y[o, c, i] = exp(x[o, c, i] - m) / sum over k of exp(x[o, k, i] - m),
// m the largest of x[o, :, i]. y may be x.
template <typename Dtype>
void Softmax(const SoftmaxShape& shape, const Dtype* x, Dtype* y);

}  // namespace p3d

#endif  // P3D_KERNELS_SOFTMAX_HPP_
