#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// TanH: top = tanh(bottom).
template <typename Dtype>
class TanHLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Tanh<Dtype>, &cuda::Kernels<Dtype>::Tanh, x,
                 count, y);
  }
  void MapBackward(const Dtype*, const Dtype* y, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), TanhBackward<Dtype>,
                 &cuda::Kernels<Dtype>::TanhBackward, y, dy, count, dx);
  }
};

P3D_REGISTER_LAYER(TanH, TanHLayer);

}  // namespace p3d
