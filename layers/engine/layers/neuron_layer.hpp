#ifndef P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_
#define P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_

#include "engine/layer.hpp"

namespace p3d {

// A layer that maps every value on its own: one bottom, one top of its shape,
// in place if wanted, in whichever order the bottom lies.
template <typename Dtype>
class NeuronLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Order order = bottom[0]->order();
    const Dtype* x = bottom[0]->data(order);
    Map(x, bottom[0]->count(), top[0]->write_data(order));
  }

 protected:
  // y[i] = f(x[i]) for i < count; y may be x.
  virtual void Map(const Dtype* x, int64_t count, Dtype* y) const = 0;

  Dtype Number(const std::string& message, const std::string& field) const {
    return static_cast<Dtype>(this->Param(message).Float(field));
  }
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_
