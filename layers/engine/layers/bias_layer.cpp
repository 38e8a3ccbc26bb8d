#include <algorithm>

#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "engine/layers/broadcast.hpp"

namespace p3d {

// Bias: top = bottom + bias, the bias covering some axes of the bottom (axis
// and num_axes; one per channel by default). It is the second bottom, or else
// blob 0.
template <typename Dtype>
class BiasLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, 2, 1, 1, false}; }
  Role role() const override {
    return per_channel_ ? Role::kAffine : Role::kOpaque;
  }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    const Fields& param = this->Param("bias_param");
    axis_ = param.Int("axis");
    learned_ = bottom.size() == 1;
    if (!learned_) return;
    this->blobs_ = {std::make_shared<Blob<Dtype>>(
        CoefficientShape(*bottom[0], axis_, param.Int("num_axes")))};
    Fill(param.Sub("filler"), this->blobs_[0]);
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Blob<Dtype>& bias = Bias(bottom);
    CheckCoefficients(*bottom[0], axis_, bias);
    per_channel_ = learned_ && IsPerChannel(*bottom[0], axis_, bias);
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const Blob<Dtype>& bias = Bias(bottom);
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Placement at = Place(*bottom[0], axis_, bias,
                                 OrderOf<Value>(bottom[0]->order(side)));
      const Dtype* coefficients = bias.data(Order::kCaffe, side);
      const Value* x = bottom[0]->template data_of<Value>(at.order, side);
      RunOn<Value>(side, ScaleShift<Dtype>, &cuda::Kernels<Value>::ScaleShift,
                   at.broadcast, nullptr, nullptr, coefficients, x,
                   top[0]->template write_data_of<Value>(at.order, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Side side = this->side();
    Dtype* gradient = nullptr;
    if (learned_ && this->learns(0)) {
      gradient = this->blobs_[0]->mutable_diff(Order::kCaffe, side);
    }
    if (!learned_ && propagate_down[1]) gradient = ZeroDiff(bottom[1], side);
    const bool copied = propagate_down[0] && bottom[0] != top[0];
    if (!gradient && !copied) return;
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Placement at = Place(*top[0], axis_, Bias(bottom),
                                 OrderOf<Value>(top[0]->order(side)));
      const Value* dy = top[0]->template diff_of<Value>(at.order, side);
      if (gradient) {
        AddScaleShiftGradients<Value, Dtype>(side, at.broadcast, nullptr, dy,
                                             nullptr, gradient);
      }
      if (!copied) return;
      RunOn<Value>(side, ScaleShift<Dtype>, &cuda::Kernels<Value>::ScaleShift,
                   at.broadcast, nullptr, nullptr, nullptr, dy,
                   bottom[0]->template write_diff_of<Value>(at.order, side));
    });
  }

  void Affine(Dtype* scale, Dtype* shift) const override {
    const Blob<Dtype>& blob = *this->blobs_[0];
    std::fill_n(scale, blob.count(), Dtype(1));
    std::copy_n(blob.data(), blob.count(), shift);
  }

 private:
  const Blob<Dtype>& Bias(const Blobs& bottom) const {
    return learned_ ? *this->blobs_[0] : *bottom[1];
  }

  int64_t axis_ = 1;
  bool learned_ = true;
  bool per_channel_ = false;
};

P3D_REGISTER_LAYER(Bias, BiasLayer);

}  // namespace p3d
