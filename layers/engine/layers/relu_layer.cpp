#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// ReLU: top = max(bottom, 0) + negative_slope * min(bottom, 0).
template <typename Dtype>
class ReLULayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  Role role() const override {
    return negative_slope_ == 0 ? Role::kRelu : Role::kOpaque;
  }

  bool HasGpu() const override { return true; }
  // Others may copy their input.
  bool Replayable() const override { return !SlopeNeedsInput(); }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    negative_slope_ = this->Number("relu_param", "negative_slope");
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Relu<Dtype>, &cuda::Kernels<Dtype>::Relu, x,
                 count, negative_slope_, y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), ReluBackward<Dtype>,
                 &cuda::Kernels<Dtype>::ReluBackward, x, dy, count,
                 negative_slope_, dx);
  }
  bool SlopeNeedsInput() const override { return negative_slope_ < 0; }

 private:
  Dtype negative_slope_ = 0;
};

P3D_REGISTER_LAYER(ReLU, ReLULayer);

}  // namespace p3d
