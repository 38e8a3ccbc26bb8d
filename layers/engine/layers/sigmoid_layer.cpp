#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Sigmoid: top = 1 / (1 + exp(-bottom)).
template <typename Dtype>
class SigmoidLayer : public NeuronLayer<Dtype, SigmoidLayer> {
 public:
  using NeuronLayer<Dtype, SigmoidLayer>::NeuronLayer;

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Sigmoid<Dtype>, &cuda::Kernels<Value>::Sigmoid,
                 x, count, y);
  }
  template <typename Value>
  void MapBackward(const Value*, const Value* y, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), SigmoidBackward<Dtype>,
                 &cuda::Kernels<Value>::SigmoidBackward, y, dy, count, dx);
  }
};

P3D_REGISTER_LAYER(Sigmoid, SigmoidLayer);

}  // namespace p3d
