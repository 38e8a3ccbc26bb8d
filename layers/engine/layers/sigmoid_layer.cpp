#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Sigmoid: top = 1 / (1 + exp(-bottom)).
template <typename Dtype>
class SigmoidLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Sigmoid<Dtype>, &cuda::Kernels<Dtype>::Sigmoid,
                 x, count, y);
  }
  void MapBackward(const Dtype*, const Dtype* y, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), SigmoidBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SigmoidBackward, y, dy, count, dx);
  }
};

P3D_REGISTER_LAYER(Sigmoid, SigmoidLayer);

}  // namespace p3d
