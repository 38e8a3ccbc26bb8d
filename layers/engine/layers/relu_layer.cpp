#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// ReLU: top = max(bottom, 0) + negative_slope * min(bottom, 0).
template <typename Dtype>
class ReLULayer : public NeuronLayer<Dtype, ReLULayer> {
 public:
  using NeuronLayer<Dtype, ReLULayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, ReLULayer>::Blobs;

  Role role() const override {
    return negative_slope_ == 0 ? Role::kRelu : Role::kOpaque;
  }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    negative_slope_ = this->Number("relu_param", "negative_slope");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Relu<Dtype>, &cuda::Kernels<Value>::Relu, x,
                 count, negative_slope_, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), ReluBackward<Dtype>,
                 &cuda::Kernels<Value>::ReluBackward, x, dy, count,
                 negative_slope_, dx);
  }

 protected:
  bool SlopeNeedsInput() const override {
    return negative_slope_ < 0 || this->top_overwritten();
  }

 private:
  Dtype negative_slope_ = 0;
};

P3D_REGISTER_LAYER(ReLU, ReLULayer);

}  // namespace p3d
