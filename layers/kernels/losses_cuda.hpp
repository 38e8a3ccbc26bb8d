#ifndef P3D_KERNELS_LOSSES_CUDA_HPP_
#define P3D_KERNELS_LOSSES_CUDA_HPP_

#include <cstdint>

#include "kernels/axis_view.hpp"
#include "kernels/host_device.hpp"
#include "kernels/labels.hpp"
#include "kernels/losses.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Those functions of losses.hpp on a GPU that classifiers are trained with: the
// same formulas, sums in double in one order always. Arrays lie in device
// memory, the labels' too. Each call is put into the stream and not waited for;
// what cannot be launched throws Error.

// What LogLoss leaves in device memory. Kernels cannot throw: labels that are
// no classes are left out, and the first of them is told.
struct LogLossResult {
  double sum;
  int64_t valid;
  int64_t wrong;  // its position, or -1
  double label;   // its value

  P3D_HOST_DEVICE void operator+=(const LogLossResult& other) {
    sum += other.sum;
    valid += other.valid;
    if (other.wrong >= 0 && (wrong < 0 || other.wrong < wrong)) {
      wrong = other.wrong;
      label = other.label;
    }
  }
};

// One block sums all positions, which are few: a label per clip, mostly.
template <typename Dtype>
void LogLoss(CUstream_st* stream, const AxisView& view, const Dtype* prob,
             const Labels<Dtype>& labels, Dtype least, LogLossResult* result);

// The loss in a result that was copied to host memory. Throws the CPU's Error
// for the label that is wrong.
template <typename Dtype>
LossSum FinishLoss(const Labels<Dtype>& labels, const LogLossResult& result) {
  if (result.wrong >= 0) labels.Refuse(result.wrong, result.label);
  LossSum loss;
  loss.sum = result.sum;
  loss.valid = result.valid;
  return loss;
}

// A label that is no class counts as one to ignore; LogLoss tells of it.
template <typename Dtype>
void SoftmaxLossBackward(CUstream_st* stream, const AxisView& view,
                         const Dtype* prob, const Labels<Dtype>& labels,
                         double factor, Dtype* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_LOSSES_CUDA_HPP_
