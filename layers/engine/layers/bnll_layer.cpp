#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// BNLL, binomial normal log likelihood: top = log(1 + exp(bottom)).
template <typename Dtype>
class BNLLLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Bnll<Dtype>, &cuda::Kernels<Dtype>::Bnll, x,
                 count, y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), BnllBackward<Dtype>,
                 &cuda::Kernels<Dtype>::BnllBackward, x, dy, count, dx);
  }
  bool SlopeNeedsInput() const override { return true; }
};

P3D_REGISTER_LAYER(BNLL, BNLLLayer);

}  // namespace p3d
