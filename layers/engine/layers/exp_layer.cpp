#include <cmath>

#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Exp: top = base ^ (shift + scale * bottom); base -1, the default, is e.
template <typename Dtype>
class ExpLayer : public NeuronLayer<Dtype, ExpLayer> {
 public:
  using NeuronLayer<Dtype, ExpLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, ExpLayer>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Dtype base = this->Number("exp_param", "base");
    const Dtype shift = this->Number("exp_param", "shift");
    Check(base == -1 || (base > 0 && std::isfinite(base)), "base is ", base,
          "; it must be positive, or -1 for e");
    const Dtype log_base = base == -1 ? Dtype(1) : std::log(base);
    scale_ = log_base * this->Number("exp_param", "scale");
    factor_ = base == -1 ? std::exp(shift) : std::pow(base, shift);
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Exp<Dtype>, &cuda::Kernels<Value>::Exp, x, count,
                 scale_, factor_, y);
  }
  template <typename Value>
  void MapBackward(const Value*, const Value* y, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), ExpBackward<Dtype>,
                 &cuda::Kernels<Value>::ExpBackward, y, dy, count, scale_, dx);
  }

 private:
  Dtype scale_ = 1;
  Dtype factor_ = 1;
};

P3D_REGISTER_LAYER(Exp, ExpLayer);

}  // namespace p3d
