#include "kernels/losses_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/loss_formulas.hpp"
#include "kernels/positions_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct LogLossBackwardKernel {
  AxisView view;
  const Dtype* prob;
  Labels<Dtype> labels;
  Dtype least;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t at, int64_t c) const {
    const int64_t i = Position(view, at, c);
    const Dtype p = prob[at] < least ? least : prob[at];
    dx[at] = c == labels.find(i) ? static_cast<Dtype>(-factor / p) : Dtype(0);
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
    const int64_t i = Position(view, at, c);
    const int64_t label = labels.find(i);
    dx[at] =
        label < 0
            ? Dtype(0)
            : static_cast<Dtype>(factor * (prob[at] - (c == label ? 1 : 0)));
  }
};

template <typename Dtype>
struct SigmoidCrossEntropyBackwardKernel {
  const Dtype* x;
  const Dtype* target;
  bool has_ignore;
  int64_t ignore;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const double slope = SigmoidCrossEntropySlope(x[i], target[i]);
    dx[i] = IsLeftOut(target[i], has_ignore, ignore)
                ? Dtype(0)
                : static_cast<Dtype>(factor * slope);
  }
};

template <typename Dtype>
struct SquaredDistanceBackwardKernel {
  const Dtype* a;
  const Dtype* b;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = static_cast<Dtype>(2 * factor * (a[i] - b[i]));
  }
};

template <typename Dtype>
struct HingeLossBackwardKernel {
  const Dtype* x;
  Labels<Dtype> labels;
  bool squared;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t at, int64_t c) const {
    const bool above = c == labels.find(Quotient(at, labels.classes));
    const double slope = HingeLossSlope(x[at], above, squared);
    dx[at] = static_cast<Dtype>(factor * slope);
  }
};

// A row for each position; its lanes add up what its label gains in all.
template <typename Dtype>
struct SoftmaxInfogainBackwardRows {
  AxisView view;
  const Dtype* prob;
  Labels<Dtype> labels;
  const Dtype* matrix;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE double Sum(int64_t i, int64_t lane) const {
    const int64_t label = labels.find(i);
    double sum = 0;
    for (int64_t c = lane; label >= 0 && c < view.channels; c += kThreads) {
      sum += matrix[label * view.channels + c];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t i, int64_t lane, double sum) const {
    const int64_t label = labels.find(i), start = view.start(i);
    for (int64_t c = lane; c < view.channels; c += kThreads) {
      const int64_t at = start + c * view.inner;
      const double slope =
          label < 0 ? 0 : prob[at] * sum - matrix[label * view.channels + c];
      dx[at] = static_cast<Dtype>(factor * slope);
    }
  }
};

// A row for each pair; its lanes add up its squared distance.
template <typename Dtype>
struct ContrastiveLossBackwardRows {
  int64_t width;
  const Dtype* a;
  const Dtype* b;
  PairLabels<Dtype> similar;
  ContrastiveRule rule;
  double factor;
  Dtype* dx;

  P3D_HOST_DEVICE double Sum(int64_t r, int64_t lane) const {
    double sum = 0;
    for (int64_t i = lane; i < width; i += kThreads) {
      sum += SquaredDistanceOf(a[r * width + i], b[r * width + i]);
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t r, int64_t lane, double squared) const {
    const double slope = ContrastiveSlope(similar.find(r), squared, rule);
    const SquaredDistanceBackwardKernel<Dtype> backward = {a, b, factor * slope,
                                                           dx};
    for (int64_t i = lane; i < width; i += kThreads) backward(r * width + i);
  }
};

}  // namespace

template <typename Dtype>
void LogLossBackward(CUstream_st* stream, const AxisView& view,
                     const Dtype* prob, const Labels<Dtype>& labels,
                     Dtype least, double factor, Dtype* dx) {
  ForEachValue(
      stream, "LogLossBackward", {view.outer, view.channels, view.inner},
      LogLossBackwardKernel<Dtype>{view, prob, labels, least, factor, dx});
}

template <typename Dtype>
void SoftmaxLossBackward(CUstream_st* stream, const AxisView& view,
                         const Dtype* prob, const Labels<Dtype>& labels,
                         double factor, Dtype* dx) {
  ForEachValue(
      stream, "SoftmaxLossBackward", {view.outer, view.channels, view.inner},
      SoftmaxLossBackwardKernel<Dtype>{view, prob, labels, factor, dx});
}

template <typename Dtype>
void SigmoidCrossEntropyBackward(CUstream_st* stream, int64_t count,
                                 const Dtype* x, const Dtype* target,
                                 bool has_ignore, int64_t ignore, double factor,
                                 Dtype* dx) {
  ForEach(stream, "SigmoidCrossEntropyBackward", count,
          SigmoidCrossEntropyBackwardKernel<Dtype>{x, target, has_ignore,
                                                   ignore, factor, dx});
}

template <typename Dtype>
void SquaredDistanceBackward(CUstream_st* stream, int64_t count, const Dtype* a,
                             const Dtype* b, double factor, Dtype* dx) {
  ForEach(stream, "SquaredDistanceBackward", count,
          SquaredDistanceBackwardKernel<Dtype>{a, b, factor, dx});
}

template <typename Dtype>
void HingeLossBackward(CUstream_st* stream, int64_t rows, const Dtype* x,
                       const Labels<Dtype>& labels, bool squared, double factor,
                       Dtype* dx) {
  ForEachValue(stream, "HingeLossBackward", {rows, labels.classes, 1},
               HingeLossBackwardKernel<Dtype>{x, labels, squared, factor, dx});
}

template <typename Dtype>
void SoftmaxInfogainBackward(CUstream_st* stream, const AxisView& view,
                             const Dtype* prob, const Labels<Dtype>& labels,
                             const Dtype* matrix, double factor, Dtype* dx) {
  SpreadColumns(stream, "SoftmaxInfogainBackward", view.outer * view.inner, 1,
                SoftmaxInfogainBackwardRows<Dtype>{view, prob, labels, matrix,
                                                   factor, dx});
}

template <typename Dtype>
void ContrastiveLossBackward(CUstream_st* stream, int64_t rows, int64_t width,
                             const Dtype* a, const Dtype* b,
                             const PairLabels<Dtype>& similar,
                             const ContrastiveRule& rule, double factor,
                             Dtype* dx) {
  SpreadColumns(stream, "ContrastiveLossBackward", rows, 1,
                ContrastiveLossBackwardRows<Dtype>{width, a, b, similar, rule,
                                                   factor, dx});
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void LogLossBackward(CUstream_st*, const AxisView&, const Dtype*,   \
                                const Labels<Dtype>&, Dtype, double, Dtype*);  \
  template void SoftmaxLossBackward(CUstream_st*, const AxisView&,             \
                                    const Dtype*, const Labels<Dtype>&,        \
                                    double, Dtype*);                           \
  template void SigmoidCrossEntropyBackward(CUstream_st*, int64_t,             \
                                            const Dtype*, const Dtype*, bool,  \
                                            int64_t, double, Dtype*);          \
  template void SquaredDistanceBackward(CUstream_st*, int64_t, const Dtype*,   \
                                        const Dtype*, double, Dtype*);         \
  template void HingeLossBackward(CUstream_st*, int64_t, const Dtype*,         \
                                  const Labels<Dtype>&, bool, double, Dtype*); \
  template void SoftmaxInfogainBackward(CUstream_st*, const AxisView&,         \
                                        const Dtype*, const Labels<Dtype>&,    \
                                        const Dtype*, double, Dtype*);         \
  template void ContrastiveLossBackward(                                       \
      CUstream_st*, int64_t, int64_t, const Dtype*, const Dtype*,              \
      const PairLabels<Dtype>&, const ContrastiveRule&, double, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
