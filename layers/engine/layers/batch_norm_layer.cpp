#include "engine/layer.hpp"
#include "engine/layers/normalize.hpp"
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
  Moments moments_;  // of the last Forward
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(BatchNorm, BatchNormLayer);

}  // namespace p3d
