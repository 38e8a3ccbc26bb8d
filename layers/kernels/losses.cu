#include "kernels/losses_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/loss_formulas.hpp"
#include "kernels/positions_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// A row for each part; at(i) is loss i.
template <typename At>
struct LossRows {
  int64_t count;
  At at;
  LabelledSum* parts;

  P3D_HOST_DEVICE LabelledSum Sum(int64_t row, int64_t lane) const {
    LabelledSum sum = {0, 0, -1, 0};
    const int64_t end = Smaller(count, (row + 1) * kLossesInPart);
    for (int64_t i = row * kLossesInPart + lane; i < end; i += kThreads) {
      sum += at(i);
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, const LabelledSum& sum) const {
    parts[row] = sum;
  }
};

template <typename At>
void SumLosses(CUstream_st* stream, const char* kernel, int64_t count,
               const At& at, LabelledSum* parts) {
  SumRows(stream, kernel, LossParts(count), LossRows<At>{count, at, parts});
}

template <typename Dtype>
struct LogLossAt {
  AxisView view;
  const Dtype* prob;
  Labels<Dtype> labels;
  Dtype least;

  P3D_HOST_DEVICE LabelledSum operator()(int64_t i) const {
    const int64_t label = labels.find(i);
    if (label == labels.kIgnored) return {0, 0, -1, 0};
    if (label == labels.kNoClass) return {0, 0, i, labels.values[i]};
    const Dtype p = prob[view.start(i) + label * view.inner];
    return {-std::log(static_cast<double>(p < least ? least : p)), 1, -1, 0};
  }
};

template <typename Dtype>
struct SigmoidCrossEntropyAt {
  const Dtype* x;
  const Dtype* target;
  bool has_ignore;
  int64_t ignore;

  P3D_HOST_DEVICE LabelledSum operator()(int64_t i) const {
    if (IsLeftOut(target[i], has_ignore, ignore)) return {0, 0, -1, 0};
    return {SigmoidCrossEntropyOf(x[i], target[i]), 1, -1, 0};
  }
};

template <typename Dtype>
struct SquaredDistanceAt {
  const Dtype* a;
  const Dtype* b;

  P3D_HOST_DEVICE LabelledSum operator()(int64_t i) const {
    return {SquaredDistanceOf(a[i], b[i]), 1, -1, 0};
  }
};

template <typename Dtype>
struct HingeLossAt {
  const Dtype* x;
  Labels<Dtype> labels;
  bool squared;

  P3D_HOST_DEVICE LabelledSum operator()(int64_t i) const {
    const int64_t row = Quotient(i, labels.classes);
    const int64_t label = labels.find(row);
    if (label == labels.kNoClass) return {0, 0, row, labels.values[row]};
    const bool above = i - row * labels.classes == label;
    return {HingeLossOf(x[i], above, squared), 1, -1, 0};
  }
};

template <typename Dtype>
struct InfogainLossAt {
  AxisView view;
  const Dtype* prob;
  Labels<Dtype> labels;
  const Dtype* matrix;
  Dtype least;

  P3D_HOST_DEVICE LabelledSum operator()(int64_t at) const {
    const int64_t row = Quotient(at, view.inner);
    const int64_t c = row - Quotient(row, view.channels) * view.channels;
    const int64_t i = Position(view, at, c);
    const int64_t label = labels.find(i);
    if (label == labels.kIgnored) return {0, 0, -1, 0};
    if (label == labels.kNoClass) return {0, 0, i, labels.values[i]};
    const Dtype p = prob[at] < least ? least : prob[at];
    const Dtype gain = matrix[label * view.channels + c];
    return {-gain * std::log(static_cast<double>(p)), c == 0, -1, 0};
  }
};

template <typename Dtype>
struct ContrastiveLossAt {
  int64_t width;
  SquaredDistanceAt<Dtype> between;
  PairLabels<Dtype> similar;
  ContrastiveRule rule;

  P3D_HOST_DEVICE LabelledSum operator()(int64_t r) const {
    if (!similar.known(r)) return {0, 0, r, 0};
    LabelledSum squared = {0, 0, -1, 0};
    for (int64_t i = r * width; i < (r + 1) * width; ++i) squared += between(i);
    return {ContrastiveLossOf(similar.find(r), squared.sum, rule), 1, -1, 0};
  }
};

}  // namespace

template <typename Dtype>
void LogLoss(CUstream_st* stream, const AxisView& view, const Dtype* prob,
             const Labels<Dtype>& labels, Dtype least, LabelledSum* parts) {
  SumLosses(stream, "LogLoss", view.outer * view.inner,
            LogLossAt<Dtype>{view, prob, labels, least}, parts);
}

template <typename Dtype>
void SigmoidCrossEntropyLoss(CUstream_st* stream, int64_t count, const Dtype* x,
                             const Dtype* target, bool has_ignore,
                             int64_t ignore, LabelledSum* parts) {
  SumLosses(stream, "SigmoidCrossEntropyLoss", count,
            SigmoidCrossEntropyAt<Dtype>{x, target, has_ignore, ignore}, parts);
}

template <typename Dtype>
void SquaredDistance(CUstream_st* stream, int64_t count, const Dtype* a,
                     const Dtype* b, LabelledSum* parts) {
  SumLosses(stream, "SquaredDistance", count, SquaredDistanceAt<Dtype>{a, b},
            parts);
}

template <typename Dtype>
void HingeLoss(CUstream_st* stream, int64_t rows, const Dtype* x,
               const Labels<Dtype>& labels, bool squared, LabelledSum* parts) {
  SumLosses(stream, "HingeLoss", rows * labels.classes,
            HingeLossAt<Dtype>{x, labels, squared}, parts);
}

template <typename Dtype>
void InfogainLoss(CUstream_st* stream, const AxisView& view, const Dtype* prob,
                  const Labels<Dtype>& labels, const Dtype* matrix, Dtype least,
                  LabelledSum* parts) {
  SumLosses(stream, "InfogainLoss", view.count(),
            InfogainLossAt<Dtype>{view, prob, labels, matrix, least}, parts);
}

template <typename Dtype>
void ContrastiveLoss(CUstream_st* stream, int64_t rows, int64_t width,
                     const Dtype* a, const Dtype* b,
                     const PairLabels<Dtype>& similar,
                     const ContrastiveRule& rule, LabelledSum* parts) {
  SumLosses(stream, "ContrastiveLoss", rows,
            ContrastiveLossAt<Dtype>{width, {a, b}, similar, rule}, parts);
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void LogLoss(CUstream_st*, const AxisView&, const Dtype*,          \
                        const Labels<Dtype>&, Dtype, LabelledSum*);           \
  template void SigmoidCrossEntropyLoss(CUstream_st*, int64_t, const Dtype*,  \
                                        const Dtype*, bool, int64_t,          \
                                        LabelledSum*);                        \
  template void SquaredDistance(CUstream_st*, int64_t, const Dtype*,          \
                                const Dtype*, LabelledSum*);                  \
  template void HingeLoss(CUstream_st*, int64_t, const Dtype*,                \
                          const Labels<Dtype>&, bool, LabelledSum*);          \
  template void InfogainLoss(CUstream_st*, const AxisView&, const Dtype*,     \
                             const Labels<Dtype>&, const Dtype*, Dtype,       \
                             LabelledSum*);                                   \
  template void ContrastiveLoss(CUstream_st*, int64_t, int64_t, const Dtype*, \
                                const Dtype*, const PairLabels<Dtype>&,       \
                                const ContrastiveRule&, LabelledSum*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
