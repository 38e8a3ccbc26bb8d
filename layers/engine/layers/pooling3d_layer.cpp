#include "engine/layers/pool_layer.hpp"

namespace p3d {

// Pooling3D, the published P3D layer, on (N, C, L, H, W): kernel_l, stride_l
// and pad_l for the length, the fields of PoolingParameter for h and w.
// kernel_l has to be given, unless global_pooling is.
template <typename Dtype>
class Pooling3DLayer : public PoolLayer<Dtype> {
 public:
  using PoolLayer<Dtype>::PoolLayer;

 protected:
  const Fields& fields() const override {
    return this->Param("pooling3d_param");
  }

  std::vector<PoolAxis> Windows(size_t count) const override {
    const Fields& param = fields();
    Check(count == 3, "needs 5 axes (num, channels, length, height, width), ",
          "the bottom has ", count + 2,
          "; use Pooling for other numbers of axes");
    std::vector<PoolAxis> windows = {PoolAxis()};
    for (const PoolAxis& window : ReadPoolWindows(param, 2)) {
      windows.push_back(window);
    }
    if (param.Bool("global_pooling")) return windows;
    Check(param.Has("kernel_l"), "kernel_l is missing: the window's length");
    windows[0].kernel = param.Int("kernel_l");
    windows[0].stride = param.Int("stride_l");
    windows[0].pad = param.Int("pad_l");
    return windows;
  }
};

P3D_REGISTER_LAYER(Pooling3D, Pooling3DLayer);

}  // namespace p3d
