#include "engine/layer.hpp"
#include "engine/layers/saved_input.hpp"
#include "kernels/lrn.hpp"
#include "kernels/pool.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

constexpr Order kOrder = Order::kChannelsLast;

}  // namespace

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
  bool HasGpu() const override { return !within_ || pool_.axes.size() <= 3; }
  bool Replayable() const override { return true; }

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
    const Side side = this->side();
    const Geometry g = bottom[0]->geometry();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      if (g.count() > 0) input_.template Save<Value>(*bottom[0], *top[0], side);
      Value* y = top[0]->template write_data_of<Value>(kOrder, side);
      if (g.count() == 0) return;
      const Value* x =
          input_.of(*bottom[0]).template data_of<Value>(kOrder, side);
      if (!within_) {
        RunOn<Value>(side, LrnAcrossChannels<Dtype>,
                     &cuda::Kernels<Value>::LrnAcrossChannels, g.num * g.pixels,
                     g.channels, size_, k_, alpha_, beta_, x, y);
      } else if (side == Side::kHost) {
        Within<Scratch>(side, g.count(), x, y);
      } else {
        Within<GpuScratch>(side, g.count(), x, y);
      }
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    const Geometry g = bottom[0]->geometry();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* dy = top[0]->template diff_of<Value>(kOrder, side);
      Value* dx = bottom[0]->template write_diff_of<Value>(kOrder, side);
      if (g.count() == 0) return;
      const Value* x =
          input_.of(*bottom[0]).template data_of<Value>(kOrder, side);
      if (!within_) {
        AcrossBackward(side, g, x, dy, dx);
      } else if (side == Side::kHost) {
        WithinBackward<Scratch>(side, g.count(), x, dy, dx);
      } else {
        WithinBackward<GpuScratch>(side, g.count(), x, dy, dx);
      }
    });
  }

 private:
  template <typename Value>
  void AcrossBackward(Side side, const Geometry& g, const Value* x,
                      const Value* dy, Value* dx) const {
    const int64_t rows = g.num * g.pixels;
    if (side == Side::kHost) {
      return detail::HostCall<kNarrow<Value>>::Run(
          LrnAcrossChannelsBackward<Dtype>, rows, g.channels, size_, k_, alpha_,
          beta_, x, dy, dx);
    }
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const GpuScratch<RealOf<Value>> scratch(g.count());
    gpu.LrnAcrossChannelsBackward(gpu.stream, rows, g.channels, size_, k_,
                                  alpha_, beta_, x, dy, scratch.data(), dx);
  }

  template <template <typename> class Memory, typename Value>
  void Within(Side side, int64_t count, const Value* x, Value* y) const {
    const Memory<RealOf<Value>> means(count);
    MeanSquares<Memory>(side, count, x, means.data());
    RunOn<Value>(side, LrnApply<Dtype>, &cuda::Kernels<Value>::LrnApply, count,
                 alpha_, beta_, means.data(), x, y);
  }

  template <template <typename> class Memory, typename Value>
  void WithinBackward(Side side, int64_t count, const Value* x, const Value* dy,
                      Value* dx) const {
    using Real = RealOf<Value>;
    const Memory<Real> means(count), gradients(count);
    MeanSquares<Memory>(side, count, x, means.data());
    RunOn<Value>(side, LrnApplyBackward<Dtype>,
                 &cuda::Kernels<Value>::LrnApplyBackward, count, alpha_, beta_,
                 means.data(), x, dy, gradients.data(), dx);
    Real* dsquares = means.data();
    RunOn<Real>(side, AveragePoolBackward<Dtype>,
                &cuda::Kernels<Real>::AveragePoolBackward, pool_, kOrder,
                gradients.data(), dsquares);
    RunOn<Value>(side, LrnSquaresBackward<Dtype>,
                 &cuda::Kernels<Value>::LrnSquaresBackward, count, x, dsquares,
                 dx);
  }

  template <template <typename> class Memory, typename Value>
  void MeanSquares(Side side, int64_t count, const Value* x,
                   RealOf<Value>* means) const {
    using Real = RealOf<Value>;
    const Memory<Real> squares(count);
    RunOn<Value>(side, LrnSquares<Dtype>, &cuda::Kernels<Value>::LrnSquares,
                 count, x, squares.data());
    RunOn<Real>(side, AveragePool<Dtype>, &cuda::Kernels<Real>::AveragePool,
                pool_, kOrder, squares.data(), means);
  }

  int64_t size_ = 0;
  double alpha_ = 0, beta_ = 0, k_ = 0;
  bool within_ = false;
  PoolShape pool_;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(LRN, LRNLayer);

}  // namespace p3d
