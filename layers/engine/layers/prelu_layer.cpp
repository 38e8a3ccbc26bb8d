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
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

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
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      using Kernels = cuda::Kernels<Value>;
      if (this->needs_backward()) {
        input_.template Save<Value>(*bottom[0], *top[0], side);
      }
      const Values values =
          Look(*bottom[0], OrderOf<Value>(bottom[0]->order(side)));
      const Value* x = bottom[0]->template data_of<Value>(values.held, side);
      Value* y = top[0]->template write_data_of<Value>(values.held, side);
      // To Prelu there, one channel is one thread's work.
      if (shared_ && side == Side::kHost) {
        return RunOn<Value>(side, Relu<Dtype>, &Kernels::Relu, x,
                            bottom[0]->count(), slope(side)[0], y);
      }
      RunOn<Value>(side, Prelu<Dtype>, &Kernels::Prelu, values.geometry,
                   values.order, x, slope(side), y);
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    Blob<Dtype>* below = propagate_down[0] ? bottom[0] : nullptr;
    WithValues<Dtype>(this->side(), [&](auto kind) {
      BackwardAs<decltype(kind)>(*top[0], input_.of(*bottom[0]), below);
    });
  }

 private:
  // How a blob's values lie, and how that looks to the kernels: as one channel
  // where all values share a slope.
  struct Values {
    Order held;
    Geometry geometry;
    Order order;
  };
  Values Look(const Blob<Dtype>& blob, Order held) const {
    if (shared_) return {held, {1, 1, blob.count()}, Order::kCaffe};
    return {held, blob.geometry(), held};
  }
  template <typename Value>
  void BackwardAs(const Blob<Dtype>& top, const Blob<Dtype>& input,
                  Blob<Dtype>* below) {
    const Side side = this->side();
    const Values values = Look(input, OrderOf<Value>(input.order(side)));
    const Value* x = input.template data_of<Value>(values.held, side);
    const Value* dy = top.template diff_of<Value>(values.held, side);
    Dtype* dslope = nullptr;
    if (this->learns(0)) {
      dslope = this->blobs_[0]->mutable_diff(Order::kCaffe, side);
    }
    Value* dx = nullptr;
    if (below) dx = below->template write_diff_of<Value>(values.held, side);
    if (side == Side::kHost) {
      return detail::HostCall<kNarrow<Value>>::Run(
          PreluBackward<Dtype>, values.geometry, values.order, x, slope(side),
          dy, dslope, dx);
    }
    const GpuScratch<double> scratch(Gpu().SumsScratchSize(
        Broadcast::Channels(values.geometry, values.order)));
    const GpuKernels<Value> gpu = GpuOf<Value>();
    gpu.PreluBackward(gpu.stream, values.geometry, values.order, x, slope(side),
                      dy, scratch.data(), dslope, dx);
  }
  const Dtype* slope(Side side) const {
    return this->blobs_[0]->data(Order::kCaffe, side);
  }

  bool shared_ = false;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(PReLU, PReLULayer);

}  // namespace p3d
