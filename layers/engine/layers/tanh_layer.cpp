#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// TanH: top = tanh(bottom).
template <typename Dtype>
class TanHLayer : public NeuronLayer<Dtype, TanHLayer> {
 public:
  using NeuronLayer<Dtype, TanHLayer>::NeuronLayer;

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Tanh<Dtype>, &cuda::Kernels<Value>::Tanh, x,
                 count, y);
  }
  template <typename Value>
  void MapBackward(const Value*, const Value* y, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), TanhBackward<Dtype>,
                 &cuda::Kernels<Value>::TanhBackward, y, dy, count, dx);
  }
};

P3D_REGISTER_LAYER(TanH, TanHLayer);

}  // namespace p3d
