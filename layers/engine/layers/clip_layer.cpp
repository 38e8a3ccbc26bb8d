#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Clip: top = the value of [min, max] nearest to the bottom.
template <typename Dtype>
class ClipLayer : public NeuronLayer<Dtype, ClipLayer> {
 public:
  using NeuronLayer<Dtype, ClipLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, ClipLayer>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Fields& param = this->Param("clip_param");
    Check(param.Has("min") && param.Has("max"),
          "needs clip_param with both min and max");
    min_ = this->Number("clip_param", "min");
    max_ = this->Number("clip_param", "max");
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Clip<Dtype>, &cuda::Kernels<Value>::Clip, x,
                 count, min_, max_, y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), ClipBackward<Dtype>,
                 &cuda::Kernels<Value>::ClipBackward, x, dy, count, min_, max_,
                 dx);
  }

 protected:
  bool SlopeNeedsInput() const override { return true; }

 private:
  Dtype min_ = 0;
  Dtype max_ = 0;
};

P3D_REGISTER_LAYER(Clip, ClipLayer);

}  // namespace p3d
