#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Power: top = (shift + scale * bottom) ^ power.
template <typename Dtype>
class PowerLayer : public NeuronLayer<Dtype, PowerLayer> {
 public:
  using NeuronLayer<Dtype, PowerLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, PowerLayer>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    power_ = this->Number("power_param", "power");
    scale_ = this->Number("power_param", "scale");
    shift_ = this->Number("power_param", "shift");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Power<Dtype>, &cuda::Kernels<Value>::Power, x,
                 count, power_, scale_, shift_, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), PowerBackward<Dtype>,
                 &cuda::Kernels<Value>::PowerBackward, x, dy, count, power_,
                 scale_, shift_, dx);
  }

 protected:
  bool SlopeNeedsInput() const override { return power_ != 1; }

 private:
  Dtype power_ = 1;
  Dtype scale_ = 1;
  Dtype shift_ = 0;
};

P3D_REGISTER_LAYER(Power, PowerLayer);

}  // namespace p3d
