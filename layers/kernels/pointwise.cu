#include "kernels/pointwise_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct ReluKernel {
  Dtype slope;
  const Dtype* x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Dtype v = x[i];
    if (slope == 0) {
      y[i] = v < 0 ? Dtype(0) : v;
    } else {
      y[i] = (v < 0 ? Dtype(0) : v) + slope * (v > 0 ? Dtype(0) : v);
    }
  }
};

template <typename Dtype>
struct ReluBackwardKernel {
  Dtype slope;
  const Dtype *x, *dy;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
  }
};

}  // namespace

template <typename Dtype>
void Relu(CUstream_st* stream, const Dtype* x, int64_t count, Dtype slope,
          Dtype* y) {
  ForEach(stream, "Relu", count, ReluKernel<Dtype>{slope, x, y});
}

template <typename Dtype>
void ReluBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                  int64_t count, Dtype slope, Dtype* dx) {
  ForEach(stream, "ReluBackward", count,
          ReluBackwardKernel<Dtype>{slope, x, dy, dx});
}

#define P3D_INSTANTIATE(Dtype)                                            \
  template void Relu(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype*); \
  template void ReluBackward(CUstream_st*, const Dtype*, const Dtype*,    \
                             int64_t, Dtype, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
