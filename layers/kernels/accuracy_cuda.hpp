#ifndef P3D_KERNELS_ACCURACY_CUDA_HPP_
#define P3D_KERNELS_ACCURACY_CUDA_HPP_

#include <cstdint>
#include <vector>

#include "kernels/accuracy.hpp"
#include "kernels/axis_view.hpp"
#include "kernels/labels.hpp"
#include "kernels/losses_cuda.hpp"

namespace p3d {
namespace cuda {

// CountHits of accuracy.hpp on a GPU. classes[c] gets how often class c was
// found as its sum, how often it was the label as its valid. Arrays lie in
// device memory, the labels' too. The call is put into the stream and not
// waited for; what cannot be launched throws Error.
template <typename Dtype>
void CountHits(CUstream_st* stream, const AxisView& view, const Dtype* score,
               const Labels<Dtype>& labels, int64_t top_k,
               LabelledSum* classes);

// The hits in `classes` that were copied to host memory. Throws the CPU's Error
// for the label that is wrong.
template <typename Dtype>
Hits FinishHits(const Labels<Dtype>& labels,
                const std::vector<LabelledSum>& classes) {
  FinishLoss(labels, classes);
  Hits hits;
  for (const LabelledSum& each : classes) {
    hits.all.push_back(each.valid);
    hits.found.push_back(static_cast<int64_t>(each.sum));
  }
  return hits;
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ACCURACY_CUDA_HPP_
