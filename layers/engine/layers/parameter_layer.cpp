#include <algorithm>

#include "engine/layer.hpp"

namespace p3d {

// Parameter: the top is the layer's own parameter blob, of the shape that the
// prototxt states, 0 until weights are loaded.
template <typename Dtype>
class ParameterLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(0, 1); }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Shape shape = this->Param("parameter_param").Sub("shape").Ints("dim");
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
  }

  void Reshape(const Blobs&, const Blobs& top) override {
    top[0]->ReshapeLike(*this->blobs_[0]);
  }

  // A copy: who writes to the top writes to the top alone.
  void Forward(const Blobs&, const Blobs& top) override {
    const Dtype* value = this->blobs_[0]->data();
    std::copy(value, value + top[0]->count(), top[0]->write_data());
  }

  void Backward(const Blobs& top, const std::vector<bool>&,
                const Blobs&) override {
    if (!this->learns(0)) return;
    const Dtype* dy = top[0]->diff();
    Dtype* gradient = this->blobs_[0]->mutable_diff();
    for (int64_t i = 0; i < top[0]->count(); ++i) gradient[i] += dy[i];
  }
};

P3D_REGISTER_LAYER(Parameter, ParameterLayer);

}  // namespace p3d
