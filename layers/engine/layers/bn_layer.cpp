#include "engine/alone.hpp"
#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "engine/layers/normalize.hpp"
#include "engine/layers/saved_input.hpp"
#include "kernels/bn.hpp"

namespace p3d {

// BN, the published P3D layer: per channel over (N, L, H, W)
//
//   top = slope (bottom - mean) / sqrt(variance + eps) + bias
//
// Blobs, all (1, C): slope, bias, running mean, running variance. TRAIN uses
// the batch's statistics (variance biased) and moves the running ones:
// running = momentum running + (1 - momentum) batch. TEST, and TRAIN where
// frozen, use the running ones and change nothing. Solvers leave the running
// blobs alone whatever lr_mult says, and all four where frozen.
// Unless frozen, gradients take the statistics for the batch's own, in TEST
// too.
//
// With `sync: true` the batch is that of all ranks together, where a net is
// trained on several GPUs (see kernels/nccl_cuda.hpp): every rank has the same
// statistics, and gradients are those of the joint batch.
//
// Without a slope_filler the slope starts at 1 (the published layer: 0, which
// makes a dead layer).
template <typename Dtype>
class BNLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override {
    return learning() ? Role::kOpaque : Role::kAffine;
  }

  bool HasGpu() const override { return true; }

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    const Fields& param = this->Param("bn_param");
    frozen_ = param.Bool("frozen");
    sync_ = param.Bool("sync");
    momentum_ = param.Float("momentum");
    eps_ = param.Float("eps");
    Check(bottom[0]->num_axes() >= 2, "needs a channel axis; the bottom's ",
          "shape is ", ShapeString(bottom[0]->shape()));
    for (int i = 0; i < 4; ++i) {
      this->blobs_.push_back(
          std::make_shared<Blob<Dtype>>(Shape{1, bottom[0]->shape(1)}));
    }
    if (param.Has("slope_filler")) {
      Fill(param.Sub("slope_filler"), this->blobs_[0]);
    } else {
      FillConstant(1, this->blobs_[0]);
    }
    Fill(param.Sub("bias_filler"), this->blobs_[1]);
    FillConstant(frozen_ ? 1 : 0, this->blobs_[3]);
    FixRates();
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Check(bottom[0]->num_axes() >= 2 &&
              bottom[0]->shape(1) == this->blobs_[0]->count(),
          "is for ", this->blobs_[0]->count(),
          " channels; the bottom's shape is ", ShapeString(bottom[0]->shape()));
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    side_ = this->side();
    if (side_ == Side::kGpu) {
      return WithValues<Dtype>(side_, [&](auto kind) {
        ForwardGpu<decltype(kind)>(bottom[0], top[0]);
      });
    }
    if (!frozen_ && this->needs_backward()) input_.Save(*bottom[0], *top[0]);
    moments_ = learning() ? BatchMoments(*bottom[0]) : RunningMoments();
    if (learning()) {
      Move(moments_.mean, this->blobs_[2].get());
      Move(moments_.variance, this->blobs_[3].get());
    }
    NormalizeChannels(moments_, eps_, blob(0), blob(1), bottom[0], top[0]);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    Blob<Dtype>* below = propagate_down[0] ? bottom[0] : nullptr;
    if (frozen_) side_ = this->side();
    if (side_ == Side::kGpu) {
      return WithValues<Dtype>(side_, [&](auto kind) {
        BackwardGpu<decltype(kind)>(*top[0], *bottom[0], below);
      });
    }
    if (!frozen_) {
      NormalizeChannelsBackward(moments_, eps_, blob(0), input_.of(*bottom[0]),
                                *top[0], gradient(0), gradient(1), below);
    } else if (below) {
      NormalizeChannelsBackwardFrozen(RunningMoments(), eps_, blob(0), *top[0],
                                      below);
    }
  }

  void Affine(Dtype* scale, Dtype* shift) const override {
    FoldNormalization(RunningMoments(), eps_, blob(0), blob(1), scale, shift);
  }

 private:
  bool learning() const { return this->phase() == Phase::kTrain && !frozen_; }
  const Dtype* blob(int i, Side side = Side::kHost) const {
    return this->blobs_[i]->data(Order::kCaffe, side);
  }
  Dtype* gradient(int i) const {
    if (!this->learns(i)) return nullptr;
    return this->blobs_[i]->mutable_diff(Order::kCaffe, side_);
  }

  template <typename Value>
  void ForwardGpu(Blob<Dtype>* bottom, Blob<Dtype>* top) {
    if (!frozen_ && this->needs_backward()) {
      input_.template SaveAs<Value>(*bottom, *top);
    }
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = bottom->geometry();
    const Order order =
        kNarrow<Value> ? Order::kChannelsLast : bottom->order(side_);
    const Value* x = bottom->template data_of<Value>(order, side_);
    const GpuScratch<double> scratch(Gpu().BnScratchSize(g, order));
    gpu_moments_.reset(new GpuScratch<double>(2 * g.channels + 1));
    joint_ = sync_ && learning() && Gpu().RanksJoined() > 1;
    double* mean = gpu_moments_->data();
    double* deviation = mean + g.channels;
    if (!learning()) {
      RunningMomentsGpu(mean, deviation);
    } else {
      CheckBatch(*bottom);
      if (joint_) {
        JointStatistics(g, order, x, scratch.data(), mean);
      } else {
        gpu.ChannelStatistics(gpu.stream, g, order, x, scratch.data(), mean,
                              deviation);
      }
      MoveGpu(mean, this->blobs_[2].get());
      MoveGpu(deviation, this->blobs_[3].get());
      GpuOf<double>().Moments(gpu.stream, g.channels, eps_, mean, deviation,
                              mean, deviation);
    }
    gpu.Normalize(gpu.stream, g, order, mean, deviation, blob(0, side_),
                  blob(1, side_), x, scratch.data(),
                  top->template write_data_of<Value>(order, side_));
  }

  template <typename Value>
  void BackwardGpu(const Blob<Dtype>& top, const Blob<Dtype>& bottom,
                   Blob<Dtype>* below) {
    if (frozen_ && !below) return;
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = top.geometry();
    Order order =
        frozen_ ? top.diff_order(side_) : input_.of(bottom).order(side_);
    if (kNarrow<Value>) order = Order::kChannelsLast;
    const Value* dy = top.template diff_of<Value>(order, side_);
    const GpuScratch<double> scratch(Gpu().BnScratchSize(g, order));
    if (frozen_) {
      const GpuScratch<double> moments(2 * g.channels);
      double* deviation = moments.data() + g.channels;
      RunningMomentsGpu(moments.data(), deviation);
      gpu.NormalizeBackwardFrozen(
          gpu.stream, g, order, deviation, blob(0, side_), dy, scratch.data(),
          below->template write_diff_of<Value>(order, side_));
      return;
    }
    const double* mean = gpu_moments_->data();
    const double* deviation = mean + g.channels;
    const Value* x = input_.of(bottom).template data_of<Value>(order, side_);
    if (joint_) return BackwardJoint(g, order, x, dy, scratch.data(), below);
    Value* dx = nullptr;
    if (below) dx = below->template write_diff_of<Value>(order, side_);
    gpu.NormalizeBackward(gpu.stream, g, order, mean, deviation, blob(0, side_),
                          x, dy, scratch.data(), gradient(0), gradient(1), dx);
  }

  // joined: of all ranks' batches, the means, then the variances, then how many
  // values each channel has.
  template <typename Value>
  void JointStatistics(const Geometry& g, Order order, const Value* x,
                       double* scratch, double* joined) const {
    CheckNotAlone();
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const int64_t ranks = Gpu().RanksJoined(), size = 2 * g.channels + 1;
    const GpuScratch<double> own(size), all(ranks * size);
    gpu.RankStatistics(gpu.stream, g, order, x, scratch, own.data());
    Gpu().GatherFromRanks(gpu.stream, size, own.data(), all.data());
    Gpu().JoinStatistics(gpu.stream, ranks, g.channels, all.data(), joined);
  }

  template <typename Value>
  void BackwardJoint(const Geometry& g, Order order, const Value* x,
                     const Value* dy, double* scratch,
                     Blob<Dtype>* below) const {
    CheckNotAlone();
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const double* mean = gpu_moments_->data();
    const double* deviation = mean + g.channels;
    const GpuScratch<double> sums(2 * g.channels);
    gpu.NormalizeBackwardSums(gpu.stream, g, order, mean, deviation, x, dy,
                              scratch, gradient(0), gradient(1), sums.data());
    if (!below) return;
    Gpu().SumOverRanks(gpu.stream, 2 * g.channels, sums.data());
    gpu.NormalizeBackwardJoint(
        gpu.stream, g, order, mean, deviation, blob(0, side_), sums.data(),
        mean + 2 * g.channels, x, dy, scratch,
        below->template write_diff_of<Value>(order, side_));
  }

  Moments RunningMoments() const {
    const int64_t channels = this->blobs_[2]->count();
    return {std::vector<double>(blob(2), blob(2) + channels),
            std::vector<double>(blob(3), blob(3) + channels)};
  }

  void Move(const std::vector<double>& batch, Blob<Dtype>* running) const {
    UpdateRunning(running->count(), momentum_, 1 - momentum_, batch.data(),
                  running->mutable_data());
  }

  void RunningMomentsGpu(double* mean, double* deviation) const {
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    gpu.Moments(gpu.stream, this->blobs_[2]->count(), eps_, blob(2, side_),
                blob(3, side_), mean, deviation);
  }

  void MoveGpu(const double* batch, Blob<Dtype>* running) const {
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    gpu.UpdateRunning(gpu.stream, running->count(), momentum_, 1 - momentum_,
                      batch, running->mutable_data(Order::kCaffe, side_));
  }

  void FixRates() {
    std::vector<ParamSpec>& specs = this->spec_.param;
    if (specs.size() < 4) specs.resize(4);
    for (int i = frozen_ ? 0 : 2; i < 4; ++i) {
      specs[i].lr_mult = specs[i].decay_mult = Multiplier{0, true};
    }
  }

  bool frozen_ = false, sync_ = false;
  double momentum_ = 0;
  double eps_ = 0;
  // Of the last Forward: where it ran, whether with all ranks, and the moments
  // there; on the GPU these are means, then deviations, then what
  // JointStatistics has besides.
  Side side_ = Side::kHost;
  bool joint_ = false;
  Moments moments_;
  std::unique_ptr<GpuScratch<double>> gpu_moments_;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(BN, BNLayer);

}  // namespace p3d
