#include "engine/layer.hpp"
#include "kernels/gather_rows.hpp"

namespace p3d {

// Tile: the bottom repeated `tiles` times along one axis (default 1).
template <typename Dtype>
class TileLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("tile_param");
    axis_ = bottom[0]->CanonicalAxis(param.Int("axis"));
    tiles_ = param.Int("tiles");
    Check(tiles_ > 0, "tiles is ", tiles_,
          "; give how often to repeat, 1 or "
          "more");
    Shape shape = bottom[0]->shape();
    shape[axis_] *= tiles_;
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const bool narrow = bottom[0]->storage().narrow(side);
    WithHeldValues<Dtype>(narrow, side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderOf<Value>(bottom[0]->order(side));
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      const Tiled tiled = In(*bottom[0], order);
      RunOn<Value>(side, TileRows<Dtype>, &cuda::Kernels<Value>::TileRows,
                   tiled.rows, tiles_, tiled.width, x,
                   top[0]->template write_data_of<Value>(order, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderOf<Value>(top[0]->diff_order(side));
      const Value* dy = top[0]->template diff_of<Value>(order, side);
      const Tiled tiled = In(*bottom[0], order);
      RunOn<Value>(side, TileRowsBackward<Dtype>,
                   &cuda::Kernels<Value>::TileRowsBackward, tiled.rows, tiles_,
                   tiled.width, dy,
                   bottom[0]->template write_diff_of<Value>(order, side));
    });
  }

 private:
  // `rows` times `width` neighbouring values, of which each row is repeated.
  struct Tiled {
    int64_t rows;
    int64_t width;
  };
  Tiled In(const Blob<Dtype>& blob, Order order) const {
    if (order == Order::kCaffe || axis_ == 0 || blob.num_axes() < 3) {
      return {blob.count(0, axis_), blob.count(axis_)};
    }
    const int64_t channels = blob.shape(1);
    if (axis_ == 1) return {blob.shape(0) * blob.count(2), channels};
    return {blob.shape(0) * blob.count(2, axis_), blob.count(axis_) * channels};
  }

  int axis_ = 1;
  int64_t tiles_ = 1;
};

P3D_REGISTER_LAYER(Tile, TileLayer);

}  // namespace p3d
