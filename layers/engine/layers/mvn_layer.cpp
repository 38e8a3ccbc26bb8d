#include <cmath>
#include <vector>

#include "engine/layer.hpp"
#include "kernels/affine.hpp"
#include "kernels/bn.hpp"

namespace p3d {

// MVN: every image's channels, or with across_channels whole images, minus
// their mean and, unless normalize_variance is false, divided by their standard
// deviation + eps. Any number of spatial axes; top has at least four axes, as
// in upstream.
template <typename Dtype>
class MVNLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Fields& param = this->Param("mvn_param");
    variance_ = param.Bool("normalize_variance");
    across_ = param.Bool("across_channels");
    eps_ = param.Float("eps");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Check(bottom[0]->count() > 0, "the bottom has no values; its shape is ",
          ShapeString(bottom[0]->shape()));
    Shape shape = bottom[0]->shape();
    if (shape.size() < 4) shape.resize(4, 1);
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    Geometry rows = bottom[0]->geometry();
    rows.channels *= rows.num;
    rows.num = 1;
    if (across_) {
      rows.channels = bottom[0]->geometry().num;
      rows.pixels = bottom[0]->count() / rows.channels;
    }
    const int64_t count = rows.channels;
    const Dtype* x = bottom[0]->data();
    std::vector<double> mean(count), deviation(count);
    ChannelStatistics(rows, Order::kCaffe, x, mean.data(), deviation.data());
    for (double& value : deviation) {
      value = variance_ ? std::sqrt(value) + eps_ : 1;
    }
    std::vector<Dtype> center(count), scale(count), shift(count);
    NormalizeCoefficients<Dtype>(count, mean.data(), deviation.data(), nullptr,
                                 nullptr, center.data(), scale.data(),
                                 shift.data());
    ScaleShift(Broadcast::Channels(rows, Order::kCaffe), center.data(),
               scale.data(), shift.data(), x, top[0]->write_data());
  }

 private:
  bool variance_ = true;
  bool across_ = false;
  double eps_ = 0;
};

P3D_REGISTER_LAYER(MVN, MVNLayer);

}  // namespace p3d
