#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// AbsVal: top = |bottom|; not in place, as in Caffe.
template <typename Dtype>
class AbsValLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Abs<Dtype>, &cuda::Kernels<Dtype>::Abs, x, count,
                 y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), AbsBackward<Dtype>,
                 &cuda::Kernels<Dtype>::AbsBackward, x, dy, count, dx);
  }
};

P3D_REGISTER_LAYER(AbsVal, AbsValLayer);

}  // namespace p3d
