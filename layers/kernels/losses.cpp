#include "kernels/losses.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/loss_formulas.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

template <typename Dtype>
LossSum LogLoss(const AxisView& view, const Dtype* prob,
                const Labels<Dtype>& labels, Dtype least) {
  LossSum loss;
  for (int64_t i = 0; i < view.outer * view.inner; ++i) {
    const int64_t label = labels.at(i);
    if (label < 0) continue;
    const Dtype p = prob[view.start(i) + label * view.inner];
    loss.sum -= std::log(static_cast<double>(std::max(p, least)));
    ++loss.valid;
  }
  return loss;
}

template <typename Dtype>
LossSum InfogainLoss(const AxisView& view, const Dtype* prob,
                     const Labels<Dtype>& labels, const Dtype* matrix,
                     Dtype least) {
  LossSum loss;
  for (int64_t i = 0; i < view.outer * view.inner; ++i) {
    const int64_t label = labels.at(i);
    if (label < 0) continue;
    const Dtype* gain = matrix + label * view.channels;
    const Dtype* from = prob + view.start(i);
    for (int64_t c = 0; c < view.channels; ++c) {
      const Dtype p = std::max(from[c * view.inner], least);
      loss.sum -= gain[c] * std::log(static_cast<double>(p));
    }
    ++loss.valid;
  }
  return loss;
}

template <typename Dtype>
LossSum SigmoidCrossEntropyLoss(int64_t count, const Dtype* x,
                                const Dtype* target, bool has_ignore,
                                int64_t ignore) {
  const auto skipped = [&](int64_t i) {
    return IsLeftOut(target[i], has_ignore, ignore);
  };
  LossSum loss;
  loss.sum = SumRanges(count, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (!skipped(i)) sum += SigmoidCrossEntropyOf(x[i], target[i]);
    }
    return sum;
  });
  for (int64_t i = 0; i < count; ++i) loss.valid += !skipped(i);
  return loss;
}

template <typename Dtype>
LossSum SquaredDistance(int64_t count, const Dtype* a, const Dtype* b) {
  const double all = SumRanges(count, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      sum += SquaredDistanceOf(a[i], b[i]);
    }
    return sum;
  });
  return {all, count};
}

template <typename Dtype>
LossSum HingeLoss(int64_t rows, const Dtype* x, const Labels<Dtype>& labels,
                  bool squared) {
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t label = labels.at(r);
    const Dtype* row = x + r * labels.classes;
    for (int64_t c = 0; c < labels.classes; ++c) {
      sum += HingeLossOf(row[c], c == label, squared);
    }
  }
  return {sum, rows * labels.classes};
}

template <typename Dtype>
LossSum ContrastiveLoss(int64_t rows, int64_t width, const Dtype* a,
                        const Dtype* b, const PairLabels<Dtype>& similar,
                        const ContrastiveRule& rule) {
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const double squared =
        SquaredDistance(width, a + r * width, b + r * width).sum;
    sum += ContrastiveLossOf(similar.at(r), squared, rule);
  }
  return {sum, rows};
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template LossSum LogLoss(const AxisView&, const Dtype*,                   \
                           const Labels<Dtype>&, Dtype);                    \
  template LossSum InfogainLoss(const AxisView&, const Dtype*,              \
                                const Labels<Dtype>&, const Dtype*, Dtype); \
  template LossSum SigmoidCrossEntropyLoss(int64_t, const Dtype*,           \
                                           const Dtype*, bool, int64_t);    \
  template LossSum SquaredDistance(int64_t, const Dtype*, const Dtype*);    \
  template LossSum HingeLoss(int64_t, const Dtype*, const Labels<Dtype>&,   \
                             bool);                                         \
  template LossSum ContrastiveLoss(int64_t, int64_t, const Dtype*,          \
                                   const Dtype*, const PairLabels<Dtype>&,  \
                                   const ContrastiveRule&)

P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);

}  // namespace p3d
