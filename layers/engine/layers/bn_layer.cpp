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

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    const Fields& param = this->Param("bn_param");
    frozen_ = param.Bool("frozen");
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
    moments_ = learning() ? BatchMoments(*bottom[0]) : RunningMoments();
    if (learning()) {
      Move(moments_.mean, this->blobs_[2].get());
      Move(moments_.variance, this->blobs_[3].get());
    }
    if (!frozen_ && this->needs_backward()) input_.Save(*bottom[0], *top[0]);
    NormalizeChannels(moments_, eps_, blob(0), blob(1), bottom[0], top[0]);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    Blob<Dtype>* below = propagate_down[0] ? bottom[0] : nullptr;
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
  const Dtype* blob(int i) const { return this->blobs_[i]->data(); }
  Dtype* gradient(int i) const {
    return this->learns(i) ? this->blobs_[i]->mutable_diff() : nullptr;
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

  void FixRates() {
    std::vector<ParamSpec>& specs = this->spec_.param;
    if (specs.size() < 4) specs.resize(4);
    for (int i = frozen_ ? 0 : 2; i < 4; ++i) {
      specs[i].lr_mult = specs[i].decay_mult = Multiplier{0, true};
    }
  }

  bool frozen_ = false;
  double momentum_ = 0;
  double eps_ = 0;
  Moments moments_;  // of the last Forward
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(BN, BNLayer);

}  // namespace p3d
