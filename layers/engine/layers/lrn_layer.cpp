#include "engine/layer.hpp"
#include "engine/layers/saved_input.hpp"
#include "kernels/lrn.hpp"
#include "kernels/pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// LRN: local response normalisation over `local_size` (odd) neighbours:
// ACROSS_CHANNELS those of the same pixel, WITHIN_CHANNEL those in a cube
// around the pixel, of which alpha multiplies the mean square (k is 1 there,
// whatever the prototxt says, as in upstream). Any number of spatial axes.
template <typename Dtype>
class LRNLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Fields& param = this->Param("lrn_param");
    size_ = param.Int("local_size");
    alpha_ = param.Float("alpha");
    beta_ = param.Float("beta");
    k_ = param.Float("k");
    within_ = param.Str("norm_region") == "WITHIN_CHANNEL";
    Check(size_ % 2 == 1, "local_size is ", size_, "; it has to be odd");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Shape& in = bottom[0]->shape();
    Check(in.size() >= 2, "needs a channel axis; the bottom's shape is ",
          ShapeString(in));
    top[0]->ReshapeLike(*bottom[0]);
    if (!within_ || bottom[0]->count() == 0) return;
    pool_.num = in[0];
    pool_.channels = in[1];
    pool_.axes.assign(1, PoolAxis());
    pool_.axes.resize(std::max<size_t>(1, in.size() - 2));
    for (size_t i = 2; i < in.size(); ++i) {
      pool_.axes[i - 2] = {in[i], size_, 1, (size_ - 1) / 2, 0};
    }
    SetPoolOutputs(PoolRounding::kCeil, &pool_);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Order order = Order::kChannelsLast;
    const Geometry g = bottom[0]->geometry();
    if (this->needs_backward()) input_.Save(*bottom[0], *top[0]);
    const Dtype* x = bottom[0]->data(order);
    Dtype* y = top[0]->write_data(order);
    if (g.count() == 0) return;
    if (!within_) {
      LrnAcrossChannels(g.num * g.pixels, g.channels, size_, k_, alpha_, beta_,
                        x, y);
      return;
    }
    const Scratch<Dtype> means(g.count());
    MeanSquares(x, g.count(), means.data());
    LrnApply(g.count(), alpha_, beta_, means.data(), x, y);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Order order = Order::kChannelsLast;
    const Geometry g = bottom[0]->geometry();
    const Dtype* x = input_.of(*bottom[0]).data(order);
    const Dtype* dy = top[0]->diff(order);
    Dtype* dx = bottom[0]->write_diff(order);
    if (g.count() == 0) return;
    if (!within_) {
      LrnAcrossChannelsBackward(g.num * g.pixels, g.channels, size_, k_, alpha_,
                                beta_, x, dy, dx);
      return;
    }
    const Scratch<Dtype> means(g.count()), gradients(g.count());
    MeanSquares(x, g.count(), means.data());
    LrnApplyBackward(g.count(), alpha_, beta_, means.data(), x, dy,
                     gradients.data(), dx);
    const Dtype* pulls = means.data();
    AveragePoolBackward(pool_, order, gradients.data(), means.data());
    ParallelRanges(g.count(), kRange, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) dx[i] += 2 * x[i] * pulls[i];
    });
  }

 private:
  void MeanSquares(const Dtype* x, int64_t count, Dtype* means) const {
    const Scratch<Dtype> squares(count);
    Dtype* square = squares.data();
    ParallelRanges(count, kRange, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) square[i] = x[i] * x[i];
    });
    AveragePool<Dtype>(pool_, Order::kChannelsLast, square, means);
  }

  int64_t size_ = 0;
  double alpha_ = 0, beta_ = 0, k_ = 0;
  bool within_ = false;
  PoolShape pool_;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(LRN, LRNLayer);

}  // namespace p3d
