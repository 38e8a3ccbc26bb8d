#include "engine/layer.hpp"
#include "kernels/copy_rows.hpp"

namespace p3d {

// Concat: the bottoms behind each other along one axis (default 1); their other
// axes agree.
template <typename Dtype>
class ConcatLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, -1, 1, 1, false}; }
  Role role() const override {
    return this->spec_.bottom.size() == 1 ? Role::kIdentity : Role::kOpaque;
  }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    axis_ = AxisOf(*bottom[0]);
    Shape shape = bottom[0]->shape();
    for (size_t i = 1; i < bottom.size(); ++i) {
      Shape expected = bottom[i]->shape();
      Check(expected.size() == shape.size(),
            "needs bottoms with equally many "
            "axes; bottom 0 is ",
            ShapeString(bottom[0]->shape()), ", bottom ", i, " is ",
            ShapeString(expected));
      const int64_t length = expected[axis_];
      expected[axis_] = shape[axis_];
      Check(expected == shape, "needs bottoms that agree in all axes but axis ",
            axis_, "; bottom 0 is ", ShapeString(bottom[0]->shape()),
            ", bottom ", i, " is ", ShapeString(bottom[i]->shape()));
      shape[axis_] += length;
    }
    top[0]->Reshape(shape);
    if (bottom.size() == 1) {
      top[0]->ShareData(*bottom[0]);
      top[0]->ShareDiff(*bottom[0]);
    }
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (bottom.size() == 1) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order =
          axis_ == 1 ? OrderOf<Value>(bottom[0]->order(side)) : Order::kCaffe;
      const Layout layout = LayoutOf(*top[0], order);
      Value* to = top[0]->template write_data_of<Value>(order, side);
      for (Blob<Dtype>* blob : bottom) {
        const int64_t width = blob->shape(axis_) * layout.inner;
        const Value* from = blob->template data_of<Value>(order, side);
        RunOn<Value>(side, CopyRows<Dtype>, &cuda::Kernels<Value>::CopyRows,
                     layout.rows, width, Rows<const Value>{from, width},
                     Rows<Value>{to, layout.stride});
        to += width;
      }
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (bottom.size() == 1) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order =
          axis_ == 1 ? OrderOf<Value>(top[0]->diff_order(side)) : Order::kCaffe;
      const Layout layout = LayoutOf(*top[0], order);
      const Value* from = top[0]->template diff_of<Value>(order, side);
      for (size_t i = 0; i < bottom.size(); ++i) {
        const int64_t width = bottom[i]->shape(axis_) * layout.inner;
        if (propagate_down[i]) {
          Value* to = bottom[i]->template write_diff_of<Value>(order, side);
          RunOn<Value>(side, CopyRows<Dtype>, &cuda::Kernels<Value>::CopyRows,
                       layout.rows, width,
                       Rows<const Value>{from, layout.stride},
                       Rows<Value>{to, width});
        }
        from += width;
      }
    });
  }

 private:
  // The top as rows that hold one row of each bottom.
  struct Layout {
    int64_t rows, inner, stride;
  };
  Layout LayoutOf(const Blob<Dtype>& top, Order order) const {
    const bool last = order == Order::kChannelsLast;
    const int64_t inner = last ? 1 : top.count(axis_ + 1);
    return {last ? top.shape(0) * top.count(2) : top.count(0, axis_), inner,
            top.shape(axis_) * inner};
  }

  // `concat_dim` is the old name of `axis`.
  int AxisOf(const Blob<Dtype>& bottom) const {
    const Fields& param = this->Param("concat_param");
    const bool old_name = param.Has("concat_dim");
    Check(!old_name || !param.Has("axis"),
          "is given both axis and concat_dim; give one of them");
    return bottom.CanonicalAxis(param.Int(old_name ? "concat_dim" : "axis"));
  }

  int axis_ = 1;
};

P3D_REGISTER_LAYER(Concat, ConcatLayer);

}  // namespace p3d
