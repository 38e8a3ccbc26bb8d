#include "kernels/softmax_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct SoftmaxKernel {
  AxisView view;
  const Dtype* x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t position) const {
    const int64_t start = view.start(position);
    const int64_t stop = start + view.channels * view.inner;
    Dtype most = x[start];
    for (int64_t i = start; i < stop; i += view.inner) {
      if (most < x[i]) most = x[i];
    }
    double sum = 0;
    for (int64_t i = start; i < stop; i += view.inner) {
      y[i] = std::exp(x[i] - most);
      sum += y[i];
    }
    const Dtype divisor = static_cast<Dtype>(sum);
    for (int64_t i = start; i < stop; i += view.inner) y[i] /= divisor;
  }
};

template <typename Dtype>
struct SoftmaxBackwardKernel {
  AxisView view;
  const Dtype *y, *dy;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t position) const {
    const int64_t start = view.start(position);
    const int64_t stop = start + view.channels * view.inner;
    double sum = 0;
    for (int64_t i = start; i < stop; i += view.inner) {
      sum += static_cast<double>(dy[i]) * y[i];
    }
    const Dtype mean = static_cast<Dtype>(sum);
    for (int64_t i = start; i < stop; i += view.inner)
      dx[i] = y[i] * (dy[i] - mean);
  }
};

}  // namespace

template <typename Dtype>
void Softmax(CUstream_st* stream, const AxisView& view, const Dtype* x,
             Dtype* y) {
  if (view.channels == 0) return;
  ForEach(stream, "Softmax", view.outer * view.inner,
          SoftmaxKernel<Dtype>{view, x, y});
}

template <typename Dtype>
void SoftmaxBackward(CUstream_st* stream, const AxisView& view, const Dtype* y,
                     const Dtype* dy, Dtype* dx) {
  ForEach(stream, "SoftmaxBackward", view.outer * view.inner,
          SoftmaxBackwardKernel<Dtype>{view, y, dy, dx});
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void Softmax(CUstream_st*, const AxisView&, const Dtype*, Dtype*); \
  template void SoftmaxBackward(CUstream_st*, const AxisView&, const Dtype*,  \
                                const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
