#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// AbsVal: top = |bottom|; not in place, as in Caffe.
template <typename Dtype>
class AbsValLayer : public NeuronLayer<Dtype, AbsValLayer> {
 public:
  using NeuronLayer<Dtype, AbsValLayer>::NeuronLayer;
  using typename NeuronLayer<Dtype, AbsValLayer>::Blobs;

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
  }

  template <typename Value>
  void Map(const Value* x, int64_t count, Value* y) const {
    RunOn<Value>(this->side(), Abs<Dtype>, &cuda::Kernels<Value>::Abs, x, count,
                 y);
  }
  template <typename Value>
  void MapBackward(const Value* x, const Value*, const Value* dy, int64_t count,
                   Value* dx) const {
    RunOn<Value>(this->side(), AbsBackward<Dtype>,
                 &cuda::Kernels<Value>::AbsBackward, x, dy, count, dx);
  }

 protected:
  bool SlopeNeedsInput() const override { return true; }
};

P3D_REGISTER_LAYER(AbsVal, AbsValLayer);

}  // namespace p3d
