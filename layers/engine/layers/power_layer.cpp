#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Power: top = (shift + scale * bottom) ^ power.
template <typename Dtype>
class PowerLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    power_ = this->Number("power_param", "power");
    scale_ = this->Number("power_param", "scale");
    shift_ = this->Number("power_param", "shift");
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Power<Dtype>, &cuda::Kernels<Dtype>::Power, x,
                 count, power_, scale_, shift_, y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), PowerBackward<Dtype>,
                 &cuda::Kernels<Dtype>::PowerBackward, x, dy, count, power_,
                 scale_, shift_, dx);
  }
  bool SlopeNeedsInput() const override { return power_ != 1; }

 private:
  Dtype power_ = 1;
  Dtype scale_ = 1;
  Dtype shift_ = 0;
};

P3D_REGISTER_LAYER(Power, PowerLayer);

}  // namespace p3d
