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
    const Dtype* x = bottom[0]->data();
    TileRows(bottom[0]->count(0, axis_), tiles_, bottom[0]->count(axis_), x,
             top[0]->write_data());
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Dtype* dy = top[0]->diff();
    TileRowsBackward(bottom[0]->count(0, axis_), tiles_,
                     bottom[0]->count(axis_), dy, bottom[0]->write_diff());
  }

 private:
  int axis_ = 1;
  int64_t tiles_ = 1;
};

P3D_REGISTER_LAYER(Tile, TileLayer);

}  // namespace p3d
