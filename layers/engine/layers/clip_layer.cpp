#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// Clip: top = the value of [min, max] nearest to the bottom.
template <typename Dtype>
class ClipLayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Fields& param = this->Param("clip_param");
    Check(param.Has("min") && param.Has("max"),
          "needs clip_param with both min and max");
    min_ = this->Number("clip_param", "min");
    max_ = this->Number("clip_param", "max");
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Clip<Dtype>, &cuda::Kernels<Dtype>::Clip, x,
                 count, min_, max_, y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), ClipBackward<Dtype>,
                 &cuda::Kernels<Dtype>::ClipBackward, x, dy, count, min_, max_,
                 dx);
  }
  bool SlopeNeedsInput() const override { return true; }

 private:
  Dtype min_ = 0;
  Dtype max_ = 0;
};

P3D_REGISTER_LAYER(Clip, ClipLayer);

}  // namespace p3d
