#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Swish: top = bottom * sigmoid(beta * bottom).
template <typename Dtype>
class SwishLayer : public NeuronLayer<Dtype, SwishLayer> {
 public:
  using NeuronLayer<Dtype, SwishLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, SwishLayer>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    beta_ = this->Number("swish_param", "beta");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Swish<Dtype>, &cuda::Kernels<Value>::Swish, x,
                 count, beta_, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), SwishBackward<Dtype>,
                 &cuda::Kernels<Value>::SwishBackward, x, dy, count, beta_, dx);
  }

 protected:
  bool SlopeNeedsInput() const override { return true; }

 private:
  Dtype beta_ = 1;
};

P3D_REGISTER_LAYER(Swish, SwishLayer);

}  // namespace p3d
