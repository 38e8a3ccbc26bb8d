#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Threshold: top = 1 where the bottom is larger than `threshold`, else 0.
template <typename Dtype>
class ThresholdLayer : public NeuronLayer<Dtype, ThresholdLayer> {
 public:
  using NeuronLayer<Dtype, ThresholdLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, ThresholdLayer>::Blobs;

  bool Differentiable(int) const override { return false; }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    threshold_ = this->Number("threshold_param", "threshold");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Threshold<Dtype>,
                 &cuda::Kernels<Value>::Threshold, x, count, threshold_, y);
  }

 private:
  Dtype threshold_ = 0;
};

P3D_REGISTER_LAYER(Threshold, ThresholdLayer);

}  // namespace p3d
