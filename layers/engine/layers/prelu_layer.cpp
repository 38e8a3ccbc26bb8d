#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "engine/layers/saved_input.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// PReLU: top = max(bottom, 0) + slope * min(bottom, 0). Blob: one slope per
// channel (C), or with channel_shared one for all ( ); 0.25 unless a filler
// says otherwise.
template <typename Dtype>
class PReLULayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    const Fields& param = this->Param("prelu_param");
    shared_ = param.Bool("channel_shared");
    Check(bottom[0]->num_axes() >= 2,
          "needs a bottom with channels, at least 2 axes, not ",
          ShapeString(bottom[0]->shape()));
    const Shape shape = shared_ ? Shape() : Shape{bottom[0]->shape(1)};
    this->blobs_ = {std::make_shared<Blob<Dtype>>(shape)};
    if (param.Has("filler")) {
      Fill(param.Sub("filler"), this->blobs_[0]);
    } else {
      FillConstant(0.25, this->blobs_[0]);
    }
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Check(shared_ || bottom[0]->shape(1) == this->blobs_[0]->count(),
          "has slopes for ", this->blobs_[0]->count(),
          " channels, the bottom has ", bottom[0]->shape(1));
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (this->needs_backward()) input_.Save(*bottom[0], *top[0]);
    const Order order = bottom[0]->order();
    const Dtype* slope = this->blobs_[0]->data();
    const Dtype* x = bottom[0]->data(order);
    Dtype* y = top[0]->write_data(order);
    if (shared_) {
      Relu(x, bottom[0]->count(), slope[0], y);
    } else {
      Prelu(bottom[0]->geometry(), order, x, slope, y);
    }
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Blob<Dtype>& input = input_.of(*bottom[0]);
    const Order order = input.order();
    const Geometry one = {1, 1, input.count()};
    const Dtype* x = input.data(order);
    const Dtype* dy = top[0]->diff(order);
    Dtype* dslope = this->learns(0) ? this->blobs_[0]->mutable_diff() : nullptr;
    Dtype* dx = propagate_down[0] ? bottom[0]->write_diff(order) : nullptr;
    PreluBackward(shared_ ? one : input.geometry(),
                  shared_ ? Order::kCaffe : order, x, this->blobs_[0]->data(),
                  dy, dslope, dx);
  }

 private:
  bool shared_ = false;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(PReLU, PReLULayer);

}  // namespace p3d
