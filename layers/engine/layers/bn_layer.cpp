#include "engine/alone.hpp"
#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "engine/layers/normalize.hpp"
#include "engine/layers/normalize_gpu.hpp"
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
// trained on several GPUs (see kernels/cuda/nccl_cuda.hpp): every rank has the
// same statistics, and gradients are those of the joint batch.
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
  // Otherwise it waits for other ranks.
  bool Replayable() const override { return !(sync_ && learning()); }
  void Refresh() override { side_ = this->side(); }

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
      input_.template Save<Value>(*bottom, *top, side_);
    }
    joint_ = sync_ && learning() && Gpu().RanksJoined() > 1;
    if (!learning()) {
      RunningMomentsGpu();
    } else {
      if (joint_) {
        CheckNotAlone();
        gpu_.template JointStatistics<Value>(*bottom);
      } else {
        gpu_.template BatchStatistics<Value>(*bottom);
      }
      MoveGpu(gpu_.mean(), this->blobs_[2].get());
      MoveGpu(gpu_.deviation(), this->blobs_[3].get());  // variances yet
      gpu_.Finish(eps_);
    }
    gpu_.template Forward<Value>(blob(0, side_), blob(1, side_), bottom, top);
  }

  template <typename Value>
  void BackwardGpu(const Blob<Dtype>& top, const Blob<Dtype>& bottom,
                   Blob<Dtype>* below) {
    if (!frozen_ && joint_) {
      CheckNotAlone();
      gpu_.template BackwardJoint<Value>(blob(0, side_), input_.of(bottom), top,
                                         gradient(0), gradient(1), below);
    } else if (!frozen_) {
      gpu_.template Backward<Value>(blob(0, side_), input_.of(bottom), top,
                                    gradient(0), gradient(1), below);
    } else if (below) {
      RunningMomentsGpu();
      gpu_.template BackwardFrozen<Value>(blob(0, side_), top, below);
    }
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

  void RunningMomentsGpu() {
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    const int64_t channels = this->blobs_[2]->count();
    double* const mean = gpu_.Moments(channels);
    gpu.Moments(gpu.stream, channels, eps_, blob(2, side_), blob(3, side_),
                mean, mean + channels);
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
  // there.
  Side side_ = Side::kHost;
  bool joint_ = false;
  Moments moments_;
  GpuNormalization<Dtype> gpu_;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(BN, BNLayer);

}  // namespace p3d
