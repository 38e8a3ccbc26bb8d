#include "engine/layers/normalize.hpp"

#include <cmath>

#include "kernels/bn.hpp"
#include "kernels/error.hpp"

namespace p3d {

template <typename Dtype>
Moments BatchMoments(const Blob<Dtype>& blob) {
  const Geometry geometry = blob.geometry();
  Check(geometry.count() > 0, "cannot take statistics of a blob without values",
        " (shape ", ShapeString(blob.shape()), ")");
  Moments moments;
  moments.mean.resize(geometry.channels);
  moments.variance.resize(geometry.channels);
  const Order order = blob.order();
  ChannelStatistics(geometry, order, blob.data(order), moments.mean.data(),
                    moments.variance.data());
  return moments;
}

template <typename Dtype>
void NormalizeChannels(const Moments& moments, double eps, const Dtype* slope,
                       const Dtype* bias, Blob<Dtype>* bottom,
                       Blob<Dtype>* top) {
  const size_t channels = moments.mean.size();
  std::vector<double> deviation(channels);
  for (size_t c = 0; c < channels; ++c) {
    deviation[c] = std::sqrt(moments.variance[c] + eps);
  }
  const Order order = bottom->order();
  const Dtype* x = bottom->data(order);
  Normalize(bottom->geometry(), order, moments.mean.data(), deviation.data(),
            slope, bias, x, top->write_data(order));
}

template <typename Dtype>
void FoldNormalization(const Moments& moments, double eps, const Dtype* slope,
                       const Dtype* bias, Dtype* scale, Dtype* shift) {
  for (size_t c = 0; c < moments.mean.size(); ++c) {
    const double factor =
        (slope ? slope[c] : 1.0) / std::sqrt(moments.variance[c] + eps);
    scale[c] = static_cast<Dtype>(factor);
    shift[c] =
        static_cast<Dtype>((bias ? bias[c] : 0.0) - moments.mean[c] * factor);
  }
}

#define P3D_INSTANTIATE(Dtype)                                               \
  template Moments BatchMoments(const Blob<Dtype>&);                         \
  template void NormalizeChannels(const Moments&, double, const Dtype*,      \
                                  const Dtype*, Blob<Dtype>*, Blob<Dtype>*); \
  template void FoldNormalization(const Moments&, double, const Dtype*,      \
                                  const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
