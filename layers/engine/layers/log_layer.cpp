#include <cmath>

#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Log: top = log(shift + scale * bottom) to the base `base`; -1, the default,
// is e.
template <typename Dtype>
class LogLayer : public NeuronLayer<Dtype, LogLayer> {
 public:
  using NeuronLayer<Dtype, LogLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, LogLayer>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Dtype base = this->Number("log_param", "base");
    Check(base == -1 || (base > 0 && base != 1 && std::isfinite(base)),
          "base is ", base, "; it must be positive and not 1, or -1 for e");
    factor_ = base == -1 ? Dtype(1) : 1 / std::log(base);
    scale_ = this->Number("log_param", "scale");
    shift_ = this->Number("log_param", "shift");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Log<Dtype>, &cuda::Kernels<Value>::Log, x, count,
                 scale_, shift_, factor_, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), LogBackward<Dtype>,
                 &cuda::Kernels<Value>::LogBackward, x, dy, count, scale_,
                 shift_, factor_, dx);
  }

 protected:
  bool SlopeNeedsInput() const override { return true; }

 private:
  Dtype scale_ = 1;
  Dtype shift_ = 0;
  Dtype factor_ = 1;
};

P3D_REGISTER_LAYER(Log, LogLayer);

}  // namespace p3d
