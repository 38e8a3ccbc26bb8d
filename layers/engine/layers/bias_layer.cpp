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
    const Placement at = Place(*bottom[0], axis_, bias, side);
    const Dtype* coefficients = bias.data(Order::kCaffe, side);
    const Dtype* x = bottom[0]->data(at.order, side);
    RunOn<Dtype>(side, ScaleShift<Dtype>, &cuda::Kernels<Dtype>::ScaleShift,
                 at.broadcast, nullptr, nullptr, coefficients, x,
                 top[0]->write_data(at.order, side));
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const bool wanted = learned_ ? this->learns(0) : propagate_down[1];
    const Side side = this->side();
    const Blob<Dtype>& bias = Bias(bottom);
    const Placement at = Place(*top[0], axis_, bias, side);
    const Dtype* dy = top[0]->diff(at.order, side);
    if (wanted) {
      Dtype* gradient = learned_
                            ? this->blobs_[0]->mutable_diff(Order::kCaffe, side)
                            : ZeroDiff(bottom[1], side);
      AddScaleShiftGradients<Dtype, Dtype>(side, at.broadcast, nullptr, dy,
                                           nullptr, gradient);
    }
    if (!propagate_down[0] || bottom[0] == top[0]) return;
    RunOn<Dtype>(side, ScaleShift<Dtype>, &cuda::Kernels<Dtype>::ScaleShift,
                 at.broadcast, nullptr, nullptr, nullptr, dy,
                 bottom[0]->write_diff(at.order, side));
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
