#include "kernels/losses.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/loss_formulas.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// dx = 0, then body(label, start) for every position that is not ignored;
// channel c of it lies at start + c * inner.
template <typename Dtype, typename Body>
void ForEachLabel(const AxisView& view, const Labels<Dtype>& labels, Dtype* dx,
                  const Body& body) {
  for (int64_t i = 0; i < view.outer * view.inner; ++i) {
    const int64_t label = labels.at(i);
    const int64_t start = view.start(i);
    if (label >= 0) {
      body(label, start);
      continue;
    }
    for (int64_t c = 0; c < view.channels; ++c) {
      dx[start + c * view.inner] = 0;
    }
  }
}

}  // namespace

template <typename Dtype>
void LogLossBackward(const AxisView& view, const Dtype* prob,
                     const Labels<Dtype>& labels, Dtype least, double factor,
                     Dtype* dx) {
  std::fill(dx, dx + view.count(), Dtype(0));
  ForEachLabel(view, labels, dx, [&](int64_t label, int64_t start) {
    const int64_t at = start + label * view.inner;
    dx[at] = static_cast<Dtype>(-factor / std::max(prob[at], least));
  });
}

template <typename Dtype>
void SoftmaxLossBackward(const AxisView& view, const Dtype* prob,
                         const Labels<Dtype>& labels, double factor,
                         Dtype* dx) {
  ForEachLabel(view, labels, dx, [&](int64_t label, int64_t start) {
    for (int64_t c = 0; c < view.channels; ++c) {
      const int64_t at = start + c * view.inner;
      dx[at] = static_cast<Dtype>(factor * (prob[at] - (c == label ? 1 : 0)));
    }
  });
}

template <typename Dtype>
void SoftmaxInfogainBackward(const AxisView& view, const Dtype* prob,
                             const Labels<Dtype>& labels, const Dtype* matrix,
                             double factor, Dtype* dx) {
  ForEachLabel(view, labels, dx, [&](int64_t label, int64_t start) {
    const Dtype* gain = matrix + label * view.channels;
    double sum = 0;
    for (int64_t c = 0; c < view.channels; ++c) sum += gain[c];
    for (int64_t c = 0; c < view.channels; ++c) {
      const int64_t at = start + c * view.inner;
      dx[at] = static_cast<Dtype>(factor * (prob[at] * sum - gain[c]));
    }
  });
}

template <typename Dtype>
void SigmoidCrossEntropyBackward(int64_t count, const Dtype* x,
                                 const Dtype* target, bool has_ignore,
                                 int64_t ignore, double factor, Dtype* dx) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double slope = SigmoidCrossEntropySlope(x[i], target[i]);
      dx[i] = IsLeftOut(target[i], has_ignore, ignore)
                  ? 0
                  : static_cast<Dtype>(factor * slope);
    }
  });
}

template <typename Dtype>
void SquaredDistanceBackward(int64_t count, const Dtype* a, const Dtype* b,
                             double factor, Dtype* dx) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      dx[i] = static_cast<Dtype>(2 * factor * (a[i] - b[i]));
    }
  });
}

template <typename Dtype>
void HingeLossBackward(int64_t rows, const Dtype* x,
                       const Labels<Dtype>& labels, bool squared, double factor,
                       Dtype* dx) {
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t label = labels.at(r);
    for (int64_t c = 0; c < labels.classes; ++c) {
      const int64_t at = r * labels.classes + c;
      const double slope = HingeLossSlope(x[at], c == label, squared);
      dx[at] = static_cast<Dtype>(factor * slope);
    }
  }
}

template <typename Dtype>
void ContrastiveLossBackward(int64_t rows, int64_t width, const Dtype* a,
                             const Dtype* b, const PairLabels<Dtype>& similar,
                             const ContrastiveRule& rule, double factor,
                             Dtype* dx) {
  for (int64_t r = 0; r < rows; ++r, a += width, b += width, dx += width) {
    const double slope =
        ContrastiveSlope(similar.at(r), SquaredDistance(width, a, b).sum, rule);
    SquaredDistanceBackward(width, a, b, factor * slope, dx);
  }
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void LogLossBackward(const AxisView&, const Dtype*,                 \
                                const Labels<Dtype>&, Dtype, double, Dtype*);  \
  template void SoftmaxLossBackward(const AxisView&, const Dtype*,             \
                                    const Labels<Dtype>&, double, Dtype*);     \
  template void SoftmaxInfogainBackward(const AxisView&, const Dtype*,         \
                                        const Labels<Dtype>&, const Dtype*,    \
                                        double, Dtype*);                       \
  template void SigmoidCrossEntropyBackward(                                   \
      int64_t, const Dtype*, const Dtype*, bool, int64_t, double, Dtype*);     \
  template void SquaredDistanceBackward(int64_t, const Dtype*, const Dtype*,   \
                                        double, Dtype*);                       \
  template void HingeLossBackward(int64_t, const Dtype*, const Labels<Dtype>&, \
                                  bool, double, Dtype*);                       \
  template void ContrastiveLossBackward(                                       \
      int64_t, int64_t, const Dtype*, const Dtype*, const PairLabels<Dtype>&,  \
      const ContrastiveRule&, double, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
