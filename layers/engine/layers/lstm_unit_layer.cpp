#include "engine/layer.hpp"
#include "kernels/recurrent.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// LSTMUnit: one time step of N LSTM cells. Bottoms: cell state (1, N, D), gates
// before their functions (1, N, 4 D), continuation (1, N). Tops: the new cell
// state and the new hidden state, both (1, N, D).
template <typename Dtype>
class LSTMUnitLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(3, 2); }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    Check(bottom[0]->num_axes() == 3 && bottom[0]->shape(0) == 1,
          "needs a cell state of shape (1, N, D), not ",
          ShapeString(bottom[0]->shape()));
    const int64_t streams = bottom[0]->shape(1);
    const int64_t width = bottom[0]->shape(2);
    Check(bottom[1]->shape() == Shape({1, streams, 4 * width}),
          "needs gates of shape (1, N, 4 D), not ",
          ShapeString(bottom[1]->shape()));
    Check(bottom[2]->shape() == Shape({1, streams}),
          "needs continuation indicators of shape (1, N), not ",
          ShapeString(bottom[2]->shape()));
    top[0]->ReshapeLike(*bottom[0]);
    top[1]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const Order order = Order::kCaffe;
    RunOn<Dtype>(side, LstmStep<Dtype>, &cuda::Kernels<Dtype>::LstmStep,
                 bottom[0]->shape(1), bottom[0]->shape(2),
                 bottom[0]->data(order, side), bottom[1]->data(order, side),
                 bottom[2]->data(order, side), top[0]->write_data(order, side),
                 top[1]->write_data(order, side));
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (this->side() == Side::kHost) {
      BackwardBy<Scratch>(top, propagate_down, bottom);
    } else {
      BackwardBy<GpuScratch>(top, propagate_down, bottom);
    }
  }

  // Not to the continuation indicators.
  bool Differentiable(int index) const override { return index < 2; }

 private:
  template <template <typename> class Memory>
  void BackwardBy(const Blobs& top, const std::vector<bool>& propagate_down,
                  const Blobs& bottom) {
    const Side side = this->side();
    const Order order = Order::kCaffe;
    const Memory<Dtype> cells(bottom[0]->count()), gates(bottom[1]->count());
    RunOn<Dtype>(side, LstmStepBackward<Dtype>,
                 &cuda::Kernels<Dtype>::LstmStepBackward, bottom[0]->shape(1),
                 bottom[0]->shape(2), bottom[0]->data(order, side),
                 bottom[1]->data(order, side), bottom[2]->data(order, side),
                 top[0]->data(order, side), top[0]->diff(order, side),
                 top[1]->diff(order, side), cells.data(), gates.data());
    const Dtype* diffs[] = {cells.data(), gates.data()};
    for (int i = 0; i < 2; ++i) {
      if (!propagate_down[i]) continue;
      CopyOn(side, diffs[i], bottom[i]->count(),
             bottom[i]->write_diff(order, side));
    }
  }
};

P3D_REGISTER_LAYER(LSTMUnit, LSTMUnitLayer);

}  // namespace p3d
