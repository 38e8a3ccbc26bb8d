#include "engine/layer.hpp"
#include "engine/layers/wrong_rows.hpp"
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
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    Check(bottom[1]->num_axes() == 1, "needs indices of one axis, not ",
          ShapeString(bottom[1]->shape()));
    Check(bottom[0]->num_axes() >= 1,
          "needs items to choose from, not one "
          "number");
    Shape shape = bottom[0]->shape();
    items_ = shape[0];
    shape[0] = bottom[1]->shape(0);
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const int64_t width = bottom[0]->count(1);
    if (side == Side::kHost) {
      const Order order = bottom[0]->order();
      const Dtype* x = bottom[0]->data(order);
      return GatherRows(Index(bottom), width, x, top[0]->write_data(order));
    }
    const RowIndex<Dtype> index = IndexOn(side, bottom);
    wrong_.Check(index, bottom[1]->count());
    const bool narrow = bottom[0]->storage().narrow(side);
    WithHeldValues<Dtype>(narrow, side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const Order order = OrderOf<Value>(bottom[0]->order(side));
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      gpu.GatherRows(gpu.stream, index, bottom[1]->count(), width, x,
                     top[0]->template write_data_of<Value>(order, side));
    });
  }
  void Verify() override {
    const cuda::WrongRow wrong = wrong_.Found();
    if (wrong.place >= 0) Refuse(wrong.place, wrong.value, items_);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    const int64_t items = bottom[0]->shape(0), width = bottom[0]->count(1);
    if (side == Side::kHost) {
      const Order order = top[0]->diff_order();
      const Dtype* dy = top[0]->diff(order);
      return GatherRowsBackward(Index(bottom), items, width, dy,
                                bottom[0]->write_diff(order));
    }
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const Order order = OrderOf<Value>(top[0]->diff_order(side));
      const Value* dy = top[0]->template diff_of<Value>(order, side);
      const GpuScratch<int64_t> scratch(items + bottom[1]->count());
      gpu.GatherRowsBackward(
          gpu.stream, IndexOn(side, bottom), bottom[1]->count(), width, dy,
          scratch.data(),
          bottom[0]->template write_diff_of<Value>(order, side));
    });
  }

  bool Differentiable(int index) const override { return index == 0; }

 private:
  static RowIndex<Dtype> IndexOn(Side side, const Blobs& bottom) {
    return {bottom[1]->data(Order::kCaffe, side), bottom[0]->shape(0)};
  }
  static std::vector<int64_t> Index(const Blobs& bottom) {
    const RowIndex<Dtype> wanted = IndexOn(Side::kHost, bottom);
    std::vector<int64_t> index(bottom[1]->count());
    for (size_t i = 0; i < index.size(); ++i) {
      index[i] = wanted.find(i);
      if (index[i] < 0) Refuse(i, wanted.values[i], wanted.rows);
    }
    return index;
  }
  [[noreturn]] static void Refuse(int64_t place, double index, int64_t items) {
    Fail("index ", index, " at place ", place, " is not one of the ", items,
         " items of bottom 0, counted from 0");
  }

  int64_t items_ = 0;  // of bottom 0
  WrongRows<Dtype> wrong_;
};

P3D_REGISTER_LAYER(BatchReindex, BatchReindexLayer);

}  // namespace p3d
