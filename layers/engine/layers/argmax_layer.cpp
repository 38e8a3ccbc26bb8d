#include <algorithm>

#include "engine/layer.hpp"
#include "kernels/top_k.hpp"

namespace p3d {

// ArgMax: where the `top_k` largest values are, the largest first.
//   with `axis`      along that axis, which gets the size top_k: their places,
//                    or with out_max_val the values themselves
//   without          over all values of an item: (N, 1, top_k) places, or with
//                    out_max_val (N, 2, top_k) places, then values; further
//                    axes of size 1 where the bottom has more than three
template <typename Dtype>
class ArgMaxLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  bool Differentiable(int) const override { return false; }
  bool HasGpu() const override { return top_k_ <= cuda::kTopK; }
  bool Replayable() const override { return true; }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Fields& param = this->Param("argmax_param");
    values_ = param.Bool("out_max_val");
    top_k_ = param.Int("top_k");
    has_axis_ = param.Has("axis");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Blob<Dtype>& x = *bottom[0];
    int axis = 0;
    if (has_axis_) {
      axis = x.CanonicalAxis(this->Param("argmax_param").Int("axis"));
      view_ = x.around(axis);
    } else {
      view_ = {x.shape(0), x.count(1), 1};
    }
    Check(top_k_ >= 1 && top_k_ <= view_.channels, "top_k is ", top_k_,
          "; it must be from 1 to the ", view_.channels,
          " values to choose from");
    Shape shape(std::max(3, x.num_axes()), 1);
    if (has_axis_) {
      shape = x.shape();
      shape[axis] = top_k_;
    } else {
      shape[0] = x.shape(0);
      shape[1] = values_ ? 2 : 1;
      shape[2] = top_k_;
    }
    top[0]->Reshape(shape);
    along_channels_ = has_axis_ && axis == 1;
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order held = OrderOf<Value>(bottom[0]->order(side));
      const Order order = along_channels_ ? held : Order::kCaffe;
      AxisView view = view_;
      if (order == Order::kChannelsLast) {
        view = {view_.outer * view_.inner, view_.channels, 1};
      }
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      Find(side, view, x, top[0]->write_data(order, side));
    });
  }

 private:
  template <typename Value>
  void Find(Side side, const AxisView& view, const Value* x, Dtype* y) const {
    // Without an axis the values lie behind an item's places.
    const bool both = values_ && !has_axis_;
    Dtype* const places = values_ && !both ? nullptr : y;
    Dtype* const values = !values_ ? nullptr : both ? y + top_k_ : y;
    const int64_t stride = (both ? 2 : 1) * top_k_ * view.inner;
    if (side == Side::kHost) {
      return detail::HostCall<kNarrow<Value>>::Run(TopK<Dtype>, view, top_k_,
                                                   stride, x, places, values);
    }
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const GpuScratch<int64_t> scratch(view.outer * view.inner);
    gpu.TopK(gpu.stream, view, top_k_, stride, x, scratch.data(), places,
             values);
  }

  AxisView view_;
  int64_t top_k_ = 1;
  bool values_ = false;
  bool has_axis_ = false;
  bool along_channels_ = false;  // which may lie together
};

P3D_REGISTER_LAYER(ArgMax, ArgMaxLayer);

}  // namespace p3d
