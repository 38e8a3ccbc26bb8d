#ifndef P3D_KERNELS_LOSSES_CUDA_HPP_
#define P3D_KERNELS_LOSSES_CUDA_HPP_

#include <cstdint>
#include <vector>

#include "kernels/axis_view.hpp"
#include "kernels/cuda/host_device.hpp"
#include "kernels/labels.hpp"
#include "kernels/losses.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Functions of losses.hpp on a GPU: the same formulas, sums in double in one
// order always. Arrays lie in device memory, the labels' too. Each call is put
// into the stream and not waited for; what cannot be launched throws Error.

// What is summed over labels in device memory. Kernels cannot throw: labels
// that are no classes are left out, and the first of them is told.
struct LabelledSum {
  double sum;
  int64_t valid;
  int64_t wrong;  // its position, or -1
  double label;   // its value

  P3D_HOST_DEVICE void operator+=(const LabelledSum& other) {
    sum += other.sum;
    valid += other.valid;
    if (other.wrong >= 0 && (wrong < 0 || other.wrong < wrong)) {
      wrong = other.wrong;
      label = other.label;
    }
  }
};

// The losses below leave one sum for each of so many parts of their `count`
// losses.
constexpr int64_t kLossesInPart = 16384;
inline int64_t LossParts(int64_t count) {
  return (count + kLossesInPart - 1) / kLossesInPart;
}

// The loss in parts that were copied to host memory. Throws the CPU's Error
// for the label that is wrong.
template <typename AnyLabels>
LossSum FinishLoss(const AnyLabels& labels,
                   const std::vector<LabelledSum>& parts) {
  LabelledSum total = {0, 0, -1, 0};
  for (const LabelledSum& part : parts) total += part;
  if (total.wrong >= 0) labels.Refuse(total.wrong, total.label);
  LossSum loss;
  loss.sum = total.sum;
  loss.valid = total.valid;
  return loss;
}

// LossParts(view.outer * view.inner) sums.
template <typename Dtype>
void LogLoss(CUstream_st* stream, const AxisView& view, const Dtype* prob,
             const Labels<Dtype>& labels, Dtype least, LabelledSum* parts);

// LossParts(count) sums.
template <typename Dtype>
void SigmoidCrossEntropyLoss(CUstream_st* stream, int64_t count, const Dtype* x,
                             const Dtype* target, bool has_ignore,
                             int64_t ignore, LabelledSum* parts);

// LossParts(count) sums.
template <typename Dtype>
void SquaredDistance(CUstream_st* stream, int64_t count, const Dtype* a,
                     const Dtype* b, LabelledSum* parts);

// LossParts(rows * labels.classes) sums.
template <typename Dtype>
void HingeLoss(CUstream_st* stream, int64_t rows, const Dtype* x,
               const Labels<Dtype>& labels, bool squared, LabelledSum* parts);

// LossParts(view.count()) sums.
template <typename Dtype>
void InfogainLoss(CUstream_st* stream, const AxisView& view, const Dtype* prob,
                  const Labels<Dtype>& labels, const Dtype* matrix, Dtype least,
                  LabelledSum* parts);

// LossParts(rows) sums.
template <typename Dtype>
void ContrastiveLoss(CUstream_st* stream, int64_t rows, int64_t width,
                     const Dtype* a, const Dtype* b,
                     const PairLabels<Dtype>& similar,
                     const ContrastiveRule& rule, LabelledSum* parts);

// A label that is no class has no gradient, or in HingeLossBackward that of no
// label; the loss tells of it.
template <typename Dtype>
void LogLossBackward(CUstream_st* stream, const AxisView& view,
                     const Dtype* prob, const Labels<Dtype>& labels,
                     Dtype least, double factor, Dtype* dx);
template <typename Dtype>
void SoftmaxLossBackward(CUstream_st* stream, const AxisView& view,
                         const Dtype* prob, const Labels<Dtype>& labels,
                         double factor, Dtype* dx);
template <typename Dtype>
void SigmoidCrossEntropyBackward(CUstream_st* stream, int64_t count,
                                 const Dtype* x, const Dtype* target,
                                 bool has_ignore, int64_t ignore, double factor,
                                 Dtype* dx);
template <typename Dtype>
void SquaredDistanceBackward(CUstream_st* stream, int64_t count, const Dtype* a,
                             const Dtype* b, double factor, Dtype* dx);
template <typename Dtype>
void HingeLossBackward(CUstream_st* stream, int64_t rows, const Dtype* x,
                       const Labels<Dtype>& labels, bool squared, double factor,
                       Dtype* dx);
template <typename Dtype>
void SoftmaxInfogainBackward(CUstream_st* stream, const AxisView& view,
                             const Dtype* prob, const Labels<Dtype>& labels,
                             const Dtype* matrix, double factor, Dtype* dx);
template <typename Dtype>
void ContrastiveLossBackward(CUstream_st* stream, int64_t rows, int64_t width,
                             const Dtype* a, const Dtype* b,
                             const PairLabels<Dtype>& similar,
                             const ContrastiveRule& rule, double factor,
                             Dtype* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_LOSSES_CUDA_HPP_
