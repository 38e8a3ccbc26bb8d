#include "kernels/accuracy_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

// A row for each class: the positions whose label it is.
template <typename Dtype>
struct HitsRows {
  AxisView view;
  const Dtype* score;
  Labels<Dtype> labels;
  int64_t top_k;
  LabelledSum* classes;

  P3D_HOST_DEVICE LabelledSum Sum(int64_t row, int64_t lane) const {
    LabelledSum sum = {0, 0, -1, 0};
    for (int64_t i = lane; i < view.outer * view.inner; i += kThreads) {
      const int64_t label = labels.find(i);
      if (label == labels.kNoClass) {
        sum += {0, 0, i, labels.values[i]};
      } else if (label == row) {
        sum += {Found(i, label) ? 1. : 0., 1, -1, 0};
      }
    }
    return sum;
  }
  P3D_HOST_DEVICE bool Found(int64_t i, int64_t label) const {
    const Dtype* from = score + view.start(i);
    const Dtype wanted = from[label * view.inner];
    int64_t rivals = -1;  // the label itself will be counted
    for (int64_t c = 0; c < view.channels; ++c) {
      rivals += !(from[c * view.inner] < wanted);
    }
    return rivals < top_k;
  }
  P3D_HOST_DEVICE void Store(int64_t row, const LabelledSum& sum) const {
    classes[row] = sum;
  }
};

}  // namespace

template <typename Dtype>
void CountHits(CUstream_st* stream, const AxisView& view, const Dtype* score,
               const Labels<Dtype>& labels, int64_t top_k,
               LabelledSum* classes) {
  SumRows(stream, "CountHits", view.channels,
          HitsRows<Dtype>{view, score, labels, top_k, classes});
}

#define P3D_INSTANTIATE(Dtype)                                         \
  template void CountHits(CUstream_st*, const AxisView&, const Dtype*, \
                          const Labels<Dtype>&, int64_t, LabelledSum*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
