#include "engine/layer.hpp"
#include "kernels/gather_rows.hpp"

namespace p3d {

// Filter: the items of each bottom but the last whose value in the last one,
// the selector (one number per item), is not 0. The tops have as many items as
// are selected, which is known from Forward on; until then, as many as the
// bottoms. What has its shape from values is the host's: a GPU would have to be
// waited for.
template <typename Dtype>
class FilterLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, -1, 1, -1, false}; }
  bool Plannable() const override { return false; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    Check(top.size() + 1 == bottom.size(), "has ", bottom.size(),
          " bottoms, the last of them the selector, and so needs ",
          bottom.size() - 1, " tops, not ", top.size());
    const Blob<Dtype>& selector = *bottom.back();
    Check(selector.count() == selector.shape(0),
          "needs a selector of one number per item, not ",
          ShapeString(selector.shape()));
    for (size_t i = 0; i < top.size(); ++i) {
      Check(bottom[i]->shape(0) == selector.shape(0), "bottom ", i, " has ",
            bottom[i]->shape(0), " items, the selector ", selector.shape(0));
      top[i]->ReshapeLike(*bottom[i]);
    }
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Dtype* selector = bottom.back()->data();
    selected_.clear();
    for (int64_t i = 0; i < bottom.back()->count(); ++i) {
      if (selector[i] != 0) selected_.push_back(i);
    }
    for (size_t i = 0; i < top.size(); ++i) {
      Shape shape = bottom[i]->shape();
      shape[0] = static_cast<int64_t>(selected_.size());
      top[i]->Reshape(shape);
      const Order order = bottom[i]->order();
      const Dtype* x = bottom[i]->data(order);
      GatherRows(selected_, bottom[i]->count(1), x, top[i]->write_data(order));
    }
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    for (size_t i = 0; i < top.size(); ++i) {
      if (!propagate_down[i]) continue;
      const Order order = top[i]->diff_order();
      const Dtype* dy = top[i]->diff(order);
      GatherRowsBackward(selected_, bottom[i]->shape(0), bottom[i]->count(1),
                         dy, bottom[i]->write_diff(order));
    }
  }

  bool Differentiable(int index) const override {
    return index + 1 < static_cast<int>(this->spec_.bottom.size());
  }

 private:
  std::vector<int64_t> selected_;  // by the last Forward
};

P3D_REGISTER_LAYER(Filter, FilterLayer);

}  // namespace p3d
