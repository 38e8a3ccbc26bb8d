#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// ELU: top = bottom where it is positive, else alpha * (exp(bottom) - 1).
template <typename Dtype>
class ELULayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    alpha_ = this->Number("elu_param", "alpha");
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Elu<Dtype>, &cuda::Kernels<Dtype>::Elu, x, count,
                 alpha_, y);
  }
  void MapBackward(const Dtype* x, const Dtype* y, const Dtype* dy,
                   int64_t count, Dtype* dx) const override {
    RunOn<Dtype>(this->side(), EluBackward<Dtype>,
                 &cuda::Kernels<Dtype>::EluBackward, x, y, dy, count, alpha_,
                 dx);
  }
  bool SlopeNeedsInput() const override { return alpha_ < 0; }

 private:
  Dtype alpha_ = 1;
};

P3D_REGISTER_LAYER(ELU, ELULayer);

}  // namespace p3d
