#include "engine/layers/pool_layer.hpp"

namespace p3d {

// Pooling with upstream's PoolingParameter. Upstream takes (N, C, H, W) only;
// here kernel_size, stride and pad mean every spatial axis of the bottom, while
// _h and _w pool the last two and leave the others alone. Global pooling takes
// all spatial axes.
template <typename Dtype>
class PoolingLayer : public PoolLayer<Dtype> {
 public:
  using PoolLayer<Dtype>::PoolLayer;

 protected:
  const Fields& fields() const override { return this->Param("pooling_param"); }
  std::vector<PoolAxis> Windows(size_t count) const override {
    return ReadPoolWindows(fields(), count);
  }
};

P3D_REGISTER_LAYER(Pooling, PoolingLayer);

}  // namespace p3d
