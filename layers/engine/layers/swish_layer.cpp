#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Swish: top = bottom * sigmoid(beta * bottom).
template <typename Dtype>
class SwishLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    beta_ = this->Number("swish_param", "beta");
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Swish<Dtype>, &cuda::Kernels<Dtype>::Swish, x,
                 count, beta_, y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), SwishBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SwishBackward, x, dy, count, beta_, dx);
  }
  bool SlopeNeedsInput() const override { return true; }

 private:
  Dtype beta_ = 1;
};

P3D_REGISTER_LAYER(Swish, SwishLayer);

}  // namespace p3d
