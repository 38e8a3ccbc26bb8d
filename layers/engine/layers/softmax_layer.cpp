#include "engine/layer.hpp"
#include "kernels/softmax.hpp"

namespace p3d {

// Softmax: exp(x) / sum of exp(x) along one axis (default 1, the channels).
template <typename Dtype>
class SoftmaxLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    axis_ = bottom[0]->CanonicalAxis(this->Param("softmax_param").Int("axis"));
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const Order order = axis_ == 1 ? bottom[0]->order(side) : Order::kCaffe;
    const Dtype* x = bottom[0]->data(order, side);
    RunOn<Dtype>(side, Softmax<Dtype>, &cuda::Kernels<Dtype>::Softmax,
                 View(*bottom[0], order), x, top[0]->write_data(order, side));
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    const Order order = axis_ == 1 ? top[0]->order(side) : Order::kCaffe;
    const Dtype* y = top[0]->data(order, side);
    const Dtype* dy = top[0]->diff(order, side);
    RunOn<Dtype>(side, SoftmaxBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SoftmaxBackward, View(*top[0], order),
                 y, dy, bottom[0]->write_diff(order, side));
  }

 private:
  AxisView View(const Blob<Dtype>& blob, Order order) const {
    AxisView view = blob.around(axis_);
    if (order == Order::kChannelsLast) {
      view.outer *= view.inner;
      view.inner = 1;
    }
    return view;
  }

  int axis_ = 1;
};

P3D_REGISTER_LAYER(Softmax, SoftmaxLayer);

}  // namespace p3d
