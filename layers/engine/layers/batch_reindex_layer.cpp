#include "engine/layer.hpp"
#include "kernels/gather_rows.hpp"

namespace p3d {

// BatchReindex: item i of the top is item bottom1[i] of bottom 0; bottom 1 has
// one axis of indices. Items may repeat or be left out.
template <typename Dtype>
class BatchReindexLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(2, 1); }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    Check(bottom[1]->num_axes() == 1, "needs indices of one axis, not ",
          ShapeString(bottom[1]->shape()));
    Check(bottom[0]->num_axes() >= 1,
          "needs items to choose from, not one "
          "number");
    Shape shape = bottom[0]->shape();
    shape[0] = bottom[1]->shape(0);
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const std::vector<int64_t> index = Index(bottom);
    const Order order = bottom[0]->order();
    const Dtype* x = bottom[0]->data(order);
    GatherRows(index, bottom[0]->count(1), x, top[0]->write_data(order));
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Order order = top[0]->diff_order();
    const Dtype* dy = top[0]->diff(order);
    GatherRowsBackward(Index(bottom), bottom[0]->shape(0), bottom[0]->count(1),
                       dy, bottom[0]->write_diff(order));
  }

  bool Differentiable(int index) const override { return index == 0; }

 private:
  static std::vector<int64_t> Index(const Blobs& bottom) {
    const int64_t items = bottom[0]->shape(0);
    const Dtype* wanted = bottom[1]->data();
    std::vector<int64_t> index(bottom[1]->count());
    for (size_t i = 0; i < index.size(); ++i) {
      Check(wanted[i] >= 0 && wanted[i] < items, "index ", wanted[i],
            " at place ", i, " is not one of the ", items,
            " items of bottom 0, counted from 0");
      index[i] = static_cast<int64_t>(wanted[i]);
    }
    return index;
  }
};

P3D_REGISTER_LAYER(BatchReindex, BatchReindexLayer);

}  // namespace p3d
