#include "kernels/losses_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/affine.hpp"
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

// One row: the losses at all positions.
template <typename Dtype>
struct LogLossRow {
  AxisView view;
  const Dtype* prob;
  Labels<Dtype> labels;
  Dtype least;
  LogLossResult* result;

  P3D_HOST_DEVICE LogLossResult Sum(int64_t, int64_t lane) const {
    LogLossResult sum = {0, 0, -1, 0};
    for (int64_t i = lane; i < view.outer * view.inner; i += kThreads) {
      sum += At(i);
    }
    return sum;
  }
  P3D_HOST_DEVICE LogLossResult At(int64_t i) const {
    const int64_t label = labels.find(i);
    if (label == labels.kIgnored) return {0, 0, -1, 0};
    if (label == labels.kNoClass) return {0, 0, i, labels.values[i]};
    const Dtype p = prob[view.start(i) + label * view.inner];
    return {-std::log(static_cast<double>(p < least ? least : p)), 1, -1, 0};
  }
  P3D_HOST_DEVICE void Store(int64_t, const LogLossResult& sum) const {
    *result = sum;
  }
};

template <typename Dtype>
struct SoftmaxLossBackwardKernel {
  AxisView view;
  const Dtype* prob;
  Labels<Dtype> labels;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t at, int64_t c) const {
    const int64_t o = Quotient(at, view.channels * view.inner);
    const int64_t i = at - (o * (view.channels - 1) + c) * view.inner;
    const int64_t label = labels.find(i);
    dx[at] =
        label < 0
            ? Dtype(0)
            : static_cast<Dtype>(factor * (prob[at] - (c == label ? 1 : 0)));
  }
};

}  // namespace

template <typename Dtype>
void LogLoss(CUstream_st* stream, const AxisView& view, const Dtype* prob,
             const Labels<Dtype>& labels, Dtype least, LogLossResult* result) {
  SumRows(stream, "LogLoss", 1,
          LogLossRow<Dtype>{view, prob, labels, least, result});
}

template <typename Dtype>
void SoftmaxLossBackward(CUstream_st* stream, const AxisView& view,
                         const Dtype* prob, const Labels<Dtype>& labels,
                         double factor, Dtype* dx) {
  ForEachValue(
      stream, "SoftmaxLossBackward", {view.outer, view.channels, view.inner},
      SoftmaxLossBackwardKernel<Dtype>{view, prob, labels, factor, dx});
}

#define P3D_INSTANTIATE(Dtype)                                          \
  template void LogLoss(CUstream_st*, const AxisView&, const Dtype*,    \
                        const Labels<Dtype>&, Dtype, LogLossResult*);   \
  template void SoftmaxLossBackward(CUstream_st*, const AxisView&,      \
                                    const Dtype*, const Labels<Dtype>&, \
                                    double, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
