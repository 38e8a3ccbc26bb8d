#include "engine/layer.hpp"
#include "engine/layers/conv_params.hpp"
#include "kernels/im2col.hpp"

namespace p3d {

// Im2col: the windows of a convolution_param as channels: top is (N, C * taps,
// out...).
template <typename Dtype>
class Im2colLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  bool HasGpu() const override { return params_.spatial_axes <= 3; }
  bool Replayable() const override { return true; }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    params_ = ReadConvParams(this->Param("convolution_param"),
                             bottom[0]->shape(), false);
    Check(params_.spatial_axes > 0, "needs an axis behind the channels; the ",
          "bottom's shape is ", ShapeString(bottom[0]->shape()));
    shape_.pad_mode = params_.pad_mode;
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Shape& in = bottom[0]->shape();
    const Geometry geometry = params_.GeometryOf(in);
    shape_.num = geometry.num;
    shape_.channels = geometry.channels;
    shape_.axes = params_.WindowAxesOf(in);
    CheckConvShape(shape_);
    std::vector<int64_t> sizes;
    for (const ConvAxis& axis : shape_.axes) sizes.push_back(axis.out());
    top[0]->Reshape(params_.With(in, geometry.channels * shape_.taps(), sizes));
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const Order order = Order::kCaffe;
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      RunOn<Value>(side, Im2col<Dtype>, &cuda::Kernels<Value>::Im2col, shape_,
                   x, top[0]->template write_data_of<Value>(order, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    const Order order = Order::kCaffe;
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* dy = top[0]->template diff_of<Value>(order, side);
      RunOn<Value>(side, Im2colBackward<Dtype>,
                   &cuda::Kernels<Value>::Im2colBackward, shape_, dy,
                   bottom[0]->template write_diff_of<Value>(order, side));
    });
  }

 private:
  ConvParams params_;
  ConvShape shape_;
};

P3D_REGISTER_LAYER(Im2col, Im2colLayer);

}  // namespace p3d
