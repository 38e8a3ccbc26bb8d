#include "kernels/affine_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct ScaleShiftKernel {
  const Dtype *center, *scale, *shift, *x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t d) const {
    Dtype value = x[i];
    if (center) value -= center[d];
    if (scale) value *= scale[d];
    if (shift) value += shift[d];
    y[i] = value;
  }
};

// Row d: the sums of dy x and of dy.
template <typename Dtype>
struct GradientRows {
  Broadcast shape;
  const Dtype *x, *dy;
  Dtype *dscale, *dshift;

  P3D_HOST_DEVICE Pair Sum(int64_t d, int64_t lane) const {
    const int64_t end = shape.outer * shape.inner;
    Pair sum = {0, 0};
    for (int64_t place = lane; place < end; place += kThreads) {
      const int64_t o = Quotient(place, shape.inner);
      const int64_t i =
          (o * shape.dim + d) * shape.inner + place - o * shape.inner;
      const double gradient = dy[i];
      sum += {dscale ? gradient * x[i] : 0, gradient};
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t d, const Pair& sum) const {
    if (dscale) dscale[d] += static_cast<Dtype>(sum.first);
    if (dshift) dshift[d] += static_cast<Dtype>(sum.second);
  }
};

}  // namespace

template <typename Dtype>
void ScaleShift(CUstream_st* stream, const Broadcast& shape,
                const Dtype* center, const Dtype* scale, const Dtype* shift,
                const Dtype* x, Dtype* y) {
  ForEachValue(stream, "ScaleShift", shape,
               ScaleShiftKernel<Dtype>{center, scale, shift, x, y});
}

template <typename Dtype>
void ScaleShiftGradients(CUstream_st* stream, const Broadcast& shape,
                         const Dtype* x, const Dtype* dy, Dtype* dscale,
                         Dtype* dshift) {
  SumRows(stream, "ScaleShiftGradients", shape.dim,
          GradientRows<Dtype>{shape, x, dy, dscale, dshift});
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void ScaleShift(CUstream_st*, const Broadcast&, const Dtype*,      \
                           const Dtype*, const Dtype*, const Dtype*, Dtype*); \
  template void ScaleShiftGradients(CUstream_st*, const Broadcast&,           \
                                    const Dtype*, const Dtype*, Dtype*,       \
                                    Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
