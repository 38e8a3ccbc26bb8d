#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// BNLL, binomial normal log likelihood: top = log(1 + exp(bottom)).
template <typename Dtype>
class BNLLLayer : public NeuronLayer<Dtype, BNLLLayer> {
 public:
  using NeuronLayer<Dtype, BNLLLayer>::NeuronLayer;

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Bnll<Dtype>, &cuda::Kernels<Value>::Bnll, x,
                 count, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), BnllBackward<Dtype>,
                 &cuda::Kernels<Value>::BnllBackward, x, dy, count, dx);
  }

 protected:
  bool SlopeNeedsInput() const override { return true; }
};

P3D_REGISTER_LAYER(BNLL, BNLLLayer);

}  // namespace p3d
