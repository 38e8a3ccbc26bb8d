#include <cmath>

#include "engine/layer.hpp"
#include "engine/layers/normalize.hpp"
#include "engine/layers/normalize_gpu.hpp"
#include "engine/layers/saved_input.hpp"
#include "kernels/bn.hpp"

namespace p3d {

// BatchNorm, upstream's: per channel top = (bottom - mean) / sqrt(variance +
// eps), without slope and bias.
//
// Blobs: (C) sums of means and of variances, (1) their weight f; the running
// statistics are sum / f, or 0 while f is 0. They are used in phase TEST unless
// use_global_stats says otherwise. Otherwise the batch's statistics are used
// and added: f = a f + 1, mean sum = a sum + mean, variance sum = a sum +
// variance m / (m - 1), with a = moving_average_fraction and m values per
// channel.
template <typename Dtype>
class BatchNormLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override {
    return use_global_stats_ ? Role::kAffine : Role::kOpaque;
  }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return use_global_stats_; }
  // A plan may run a layer again for a blob that it dropped, and that would add
  // the batch's statistics once more.
  bool Plannable() const override {
    return use_global_stats_ || this->phase() == Phase::kTrain;
  }
  void Refresh() override {
    if (use_global_stats_) GlobalMomentsGpu();
  }

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    const Fields& param = this->Param("batch_norm_param");
    fraction_ = param.Float("moving_average_fraction");
    eps_ = param.Float("eps");
    use_global_stats_ = param.Has("use_global_stats")
                            ? param.Bool("use_global_stats")
                            : this->phase() == Phase::kTest;
    Check(bottom[0]->num_axes() >= 2, "needs a channel axis; the bottom's ",
          "shape is ", ShapeString(bottom[0]->shape()));
    const Shape channels = {bottom[0]->shape(1)};
    this->blobs_ = {std::make_shared<Blob<Dtype>>(channels),
                    std::make_shared<Blob<Dtype>>(channels),
                    std::make_shared<Blob<Dtype>>(Shape{1})};
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
    moments_ = use_global_stats_ ? GlobalMoments() : BatchMoments(*bottom[0]);
    if (!use_global_stats_) {
      Add(moments_, bottom[0]->geometry());
      if (this->needs_backward()) input_.Save(*bottom[0], *top[0]);
    }
    NormalizeChannels<Dtype>(moments_, eps_, nullptr, nullptr, bottom[0],
                             top[0]);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    if (use_global_stats_) side_ = this->side();
    if (side_ == Side::kGpu) {
      return WithValues<Dtype>(side_, [&](auto kind) {
        BackwardGpu<decltype(kind)>(*top[0], bottom[0]);
      });
    }
    if (use_global_stats_) {
      NormalizeChannelsBackwardFrozen<Dtype>(GlobalMoments(), eps_, nullptr,
                                             *top[0], bottom[0]);
    } else {
      NormalizeChannelsBackward<Dtype>(moments_, eps_, nullptr,
                                       input_.of(*bottom[0]), *top[0], nullptr,
                                       nullptr, bottom[0]);
    }
  }

  void Affine(Dtype* scale, Dtype* shift) const override {
    FoldNormalization<Dtype>(GlobalMoments(), eps_, nullptr, nullptr, scale,
                             shift);
  }

 private:
  template <typename Value>
  void ForwardGpu(Blob<Dtype>* bottom, Blob<Dtype>* top) {
    if (use_global_stats_) {
      GlobalMomentsGpu();
    } else {
      if (this->needs_backward())
        input_.template Save<Value>(*bottom, *top, Side::kGpu);
      gpu_.template BatchStatistics<Value>(*bottom);
      AddGpu(bottom->geometry());
      gpu_.Finish(eps_);
      placed_ = 0;
    }
    gpu_.template Forward<Value>(nullptr, nullptr, bottom, top);
  }

  template <typename Value>
  void BackwardGpu(const Blob<Dtype>& top, Blob<Dtype>* bottom) {
    if (use_global_stats_) {
      GlobalMomentsGpu();
      gpu_.template BackwardFrozen<Value>(nullptr, top, bottom);
    } else {
      gpu_.template Backward<Value>(nullptr, input_.of(*bottom), top, nullptr,
                                    nullptr, bottom);
    }
  }

  // Their weight makes these few numbers the host's, copied when they changed.
  void GlobalMomentsGpu() {
    uint64_t version = 1;
    for (const auto& blob : this->blobs_) version += blob->storage().version();
    if (version == placed_) return;
    const Moments moments = GlobalMoments();
    std::vector<double> values = moments.mean;
    for (double variance : moments.variance) {
      values.push_back(std::sqrt(variance + eps_));
    }
    double* const memory =
        gpu_.Moments(static_cast<int64_t>(moments.mean.size()));
    Gpu().CopyToDevice(memory, values.data(), values.size() * sizeof(double));
    // Behind the reading, which is when fillers make values.
    placed_ = 1;
    for (const auto& blob : this->blobs_) placed_ += blob->storage().version();
  }

  std::vector<double> Running(int i) const {
    const double weight = this->blobs_[2]->data()[0];
    const Dtype* sums = this->blobs_[i]->data();
    std::vector<double> running(sums, sums + this->blobs_[i]->count());
    for (double& value : running) value = weight == 0 ? 0 : value / weight;
    return running;
  }
  Moments GlobalMoments() const { return {Running(0), Running(1)}; }

  void Add(const Moments& batch, const Geometry& geometry) {
    const int64_t channels = geometry.channels;
    const double m = static_cast<double>(geometry.num * geometry.pixels);
    const double one = 1;
    UpdateRunning(1, fraction_, 1, &one, this->blobs_[2]->mutable_data());
    UpdateRunning(channels, fraction_, 1, batch.mean.data(),
                  this->blobs_[0]->mutable_data());
    UpdateRunning(channels, fraction_, m > 1 ? m / (m - 1) : 1,
                  batch.variance.data(), this->blobs_[1]->mutable_data());
  }

  // gpu_ holds the batch's means and variances.
  void AddGpu(const Geometry& geometry) {
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    const double m = static_cast<double>(geometry.num * geometry.pixels);
    const double one = 1;
    UpdateRunning(1, fraction_, 1, &one, this->blobs_[2]->mutable_data());
    gpu.UpdateRunning(gpu.stream, geometry.channels, fraction_, 1, gpu_.mean(),
                      this->blobs_[0]->mutable_data(Order::kCaffe, side_));
    gpu.UpdateRunning(gpu.stream, geometry.channels, fraction_,
                      m > 1 ? m / (m - 1) : 1, gpu_.deviation(),
                      this->blobs_[1]->mutable_data(Order::kCaffe, side_));
  }

  void FixRates() {
    std::vector<ParamSpec>& specs = this->spec_.param;
    for (const ParamSpec& spec : specs) {
      Check(spec.lr_mult.value == 0,
            "its blobs are statistics, not weights: set ",
            "lr_mult: 0 in every param, or leave them out");
    }
    for (size_t i = specs.size(); i < 3; ++i) {
      specs.emplace_back();
      specs.back().lr_mult = {0, true};
    }
  }

  bool use_global_stats_ = false;
  double fraction_ = 0;
  double eps_ = 0;
  // Of the last Forward: where it ran, and the moments there.
  Side side_ = Side::kHost;
  Moments moments_;
  GpuNormalization<Dtype> gpu_;
  uint64_t placed_ = 0;  // of which blobs gpu_ has the global moments
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(BatchNorm, BatchNormLayer);

}  // namespace p3d
