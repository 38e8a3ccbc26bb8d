#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// ELU: top = bottom where it is positive, else alpha * (exp(bottom) - 1).
template <typename Dtype>
class ELULayer : public NeuronLayer<Dtype, ELULayer> {
 public:
  using NeuronLayer<Dtype, ELULayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, ELULayer>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    alpha_ = this->Number("elu_param", "alpha");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Elu<Dtype>, &cuda::Kernels<Value>::Elu, x, count,
                 alpha_, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value* y, const Value* dy,
                   int64_t count, Value* dx) const {
    RunOn<Value>(this->side(), EluBackward<Dtype>,
                 &cuda::Kernels<Value>::EluBackward, x, y, dy, count, alpha_,
                 dx);
  }

 protected:
  bool SlopeNeedsInput() const override {
    return alpha_ < 0 || this->top_overwritten();
  }

 private:
  Dtype alpha_ = 1;
};

P3D_REGISTER_LAYER(ELU, ELULayer);

}  // namespace p3d
