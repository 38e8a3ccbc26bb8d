#ifndef P3D_KERNELS_LOSSES_HPP_
#define P3D_KERNELS_LOSSES_HPP_

#include <cstdint>

#include "kernels/axis_view.hpp"
#include "kernels/labels.hpp"

namespace p3d {

// Sums of losses, not yet divided by a number of examples. They are summed in
// double precision.

// A loss and the number of values in it, ignored ones left out.
struct LossSum {
  double sum = 0;
  int64_t valid = 0;
};

// - sum of log(max(prob[o, label[o, i], i], least)) over all positions (o, i)
template <typename Dtype>
LossSum LogLoss(const AxisView& view, const Dtype* prob,
                const Labels<Dtype>& labels, Dtype least);

// - sum of H[label[o, i], c] * log(max(prob[o, c, i], least)) over all
// positions and classes; H is a (classes, classes) matrix.
template <typename Dtype>
LossSum InfogainLoss(const AxisView& view, const Dtype* prob,
                     const Labels<Dtype>& labels, const Dtype* matrix,
                     Dtype least);

// Sum of log(1 + exp(x)) - x * target: the cross entropy of sigmoid(x) with the
// target. Targets that, cut off to integers, equal `ignore` are left out.
template <typename Dtype>
LossSum SigmoidCrossEntropyLoss(int64_t count, const Dtype* x,
                                const Dtype* target, bool has_ignore,
                                int64_t ignore);

// Sum of (a - b)^2
template <typename Dtype>
LossSum SquaredDistance(int64_t count, const Dtype* a, const Dtype* b);

// Sum of max(0, 1 + s * x) over (rows, labels.classes) values, or of their
// squares; s = -1 where the column is the row's label, else 1.
template <typename Dtype>
LossSum HingeLoss(int64_t rows, const Dtype* x, const Labels<Dtype>& labels,
                  bool squared);

// Pairs of vectors of `width` values at distance d: d^2 for a similar pair,
// else max(margin - d, 0)^2, or by the legacy formula max(margin - d^2, 0).
// Throws Error where it cannot be told whether a pair is similar.
struct ContrastiveRule {
  double margin = 1;
  bool legacy = false;
};
template <typename Dtype>
LossSum ContrastiveLoss(int64_t rows, int64_t width, const Dtype* a,
                        const Dtype* b, const PairLabels<Dtype>& similar,
                        const ContrastiveRule& rule);

// Their gradients, times `factor` (the loss weight over the number by which the
// sum is divided). Each overwrites dx.

// Of LogLoss to prob.
template <typename Dtype>
void LogLossBackward(const AxisView& view, const Dtype* prob,
                     const Labels<Dtype>& labels, Dtype least, double factor,
                     Dtype* dx);

// Of LogLoss of a softmax to the softmax's input: prob - 1 at the label; 0 for
// all classes of an ignored position. dx may be prob.
template <typename Dtype>
void SoftmaxLossBackward(const AxisView& view, const Dtype* prob,
                         const Labels<Dtype>& labels, double factor, Dtype* dx);

// Of InfogainLoss of a softmax to the softmax's input:
// prob[c] * sum of H[label, :] - H[label, c]
template <typename Dtype>
void SoftmaxInfogainBackward(const AxisView& view, const Dtype* prob,
                             const Labels<Dtype>& labels, const Dtype* matrix,
                             double factor, Dtype* dx);

// sigmoid(x) - target; 0 where the target is ignored.
template <typename Dtype>
void SigmoidCrossEntropyBackward(int64_t count, const Dtype* x,
                                 const Dtype* target, bool has_ignore,
                                 int64_t ignore, double factor, Dtype* dx);

// 2 (a - b), of a; that of b by a negative factor.
template <typename Dtype>
void SquaredDistanceBackward(int64_t count, const Dtype* a, const Dtype* b,
                             double factor, Dtype* dx);

// 0 where nothing is lost.
template <typename Dtype>
void HingeLossBackward(int64_t rows, const Dtype* x,
                       const Labels<Dtype>& labels, bool squared, double factor,
                       Dtype* dx);

// Of a; that of b by a negative factor. A distance d is divided by as d + 1e-4,
// as in Caffe, so that equal vectors have the gradient 0.
template <typename Dtype>
void ContrastiveLossBackward(int64_t rows, int64_t width, const Dtype* a,
                             const Dtype* b, const PairLabels<Dtype>& similar,
                             const ContrastiveRule& rule, double factor,
                             Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_LOSSES_HPP_
