#include "engine/layer.hpp"

namespace p3d {

// ReLU: top = max(bottom, 0) + negative_slope * min(bottom, 0).
template <typename Dtype>
class ReLULayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override {
    return negative_slope_ == 0 ? Role::kRelu : Role::kOpaque;
  }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    negative_slope_ =
        static_cast<Dtype>(this->Param("relu_param").Float("negative_slope"));
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Dtype* x = bottom[0]->data(Order::kChannelsLast);
    Dtype* y = top[0]->write_data(Order::kChannelsLast);
    for (int64_t i = 0; i < bottom[0]->count(); ++i) {
      y[i] = x[i] > 0 ? x[i] : negative_slope_ * x[i];
    }
  }

 private:
  Dtype negative_slope_ = 0;
};

P3D_REGISTER_LAYER(ReLU, ReLULayer);

}  // namespace p3d
