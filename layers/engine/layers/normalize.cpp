#include "engine/layers/normalize.hpp"

#include <cmath>

#include "kernels/bn.hpp"
#include "kernels/error.hpp"

namespace p3d {

namespace {

std::vector<double> Deviations(const Moments& moments, double eps) {
  std::vector<double> deviation = moments.variance;
  for (double& value : deviation) value = std::sqrt(value + eps);
  return deviation;
}

}  // namespace

template <typename Dtype>
void CheckBatch(const Blob<Dtype>& blob) {
  Check(blob.count() > 0, "cannot take statistics of a blob without values",
        " (shape ", ShapeString(blob.shape()), ")");
}

template <typename Dtype>
Moments BatchMoments(const Blob<Dtype>& blob) {
  CheckBatch(blob);
  const Geometry geometry = blob.geometry();
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
  const std::vector<double> deviation = Deviations(moments, eps);
  const Order order = bottom->order();
  const Dtype* x = bottom->data(order);
  Normalize(bottom->geometry(), order, moments.mean.data(), deviation.data(),
            slope, bias, x, top->write_data(order));
}

template <typename Dtype>
void NormalizeChannelsBackward(const Moments& moments, double eps,
                               const Dtype* slope, const Blob<Dtype>& input,
                               const Blob<Dtype>& top, Dtype* dslope,
                               Dtype* dbias, Blob<Dtype>* bottom) {
  const std::vector<double> deviation = Deviations(moments, eps);
  const Order order = input.order();
  const Dtype* x = input.data(order);
  const Dtype* dy = top.diff(order);
  NormalizeBackward(input.geometry(), order, moments.mean.data(),
                    deviation.data(), slope, x, dy, dslope, dbias,
                    bottom ? bottom->write_diff(order) : nullptr);
}

template <typename Dtype>
void NormalizeChannelsBackwardFrozen(const Moments& moments, double eps,
                                     const Dtype* slope, const Blob<Dtype>& top,
                                     Blob<Dtype>* bottom) {
  const std::vector<double> deviation = Deviations(moments, eps);
  const Order order = top.diff_order();
  const Dtype* dy = top.diff(order);
  NormalizeBackwardFrozen(top.geometry(), order, deviation.data(), slope, dy,
                          bottom->write_diff(order));
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

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void NormalizeChannelsBackward(                                     \
      const Moments&, double, const Dtype*, const Blob<Dtype>&,                \
      const Blob<Dtype>&, Dtype*, Dtype*, Blob<Dtype>*);                       \
  template void NormalizeChannelsBackwardFrozen(                               \
      const Moments&, double, const Dtype*, const Blob<Dtype>&, Blob<Dtype>*); \
  template void CheckBatch(const Blob<Dtype>&);                                \
  template Moments BatchMoments(const Blob<Dtype>&);                           \
  template void NormalizeChannels(const Moments&, double, const Dtype*,        \
                                  const Dtype*, Blob<Dtype>*, Blob<Dtype>*);   \
  template void FoldNormalization(const Moments&, double, const Dtype*,        \
                                  const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
