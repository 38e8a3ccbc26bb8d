#include <algorithm>

#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "engine/layers/broadcast.hpp"
#include "engine/layers/saved_input.hpp"

namespace p3d {

// Scale: top = bottom * scale (+ bias), scale covering some axes of the bottom
// (axis and num_axes; one coefficient per channel by default). The scale is the
// second bottom, or else blob 0, which starts at 1; with bias_term a bias of
// the same shape is the last blob.
//
// The scale's gradient replaces what blob 0's diff was, where no axis of more
// than one item stands before the scale's, as with batches of 1: so it is in
// upstream, and seen where iter_size adds up. A single scale of many values
// adds there, too.
template <typename Dtype>
class ScaleLayer : public Layer<Dtype> {
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
    const Fields& param = this->Param("scale_param");
    axis_ = param.Int("axis");
    learned_ = bottom.size() == 1;
    Shape shape;
    if (learned_) {
      shape = CoefficientShape(*bottom[0], axis_, param.Int("num_axes"));
      this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
      if (param.Has("filler")) {
        Fill(param.Sub("filler"), this->blobs_[0]);
      } else {
        FillConstant(1, this->blobs_[0]);
      }
    } else {
      shape = bottom[1]->shape();
    }
    has_bias_ = param.Bool("bias_term");
    if (!has_bias_) return;
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
    Fill(param.Sub("bias_filler"), this->blobs_.back());
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Blob<Dtype>& scale = Scale(bottom);
    CheckCoefficients(*bottom[0], axis_, scale);
    if (has_bias_) CheckCoefficients(*bottom[0], axis_, *this->blobs_.back());
    per_channel_ = learned_ && IsPerChannel(*bottom[0], axis_, scale);
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Blob<Dtype>& scale = Scale(bottom);
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      if (this->needs_backward()) {
        input_.template Save<Value>(*bottom[0], *top[0], side);
      }
      const Placement at = Place(*bottom[0], axis_, scale,
                                 OrderOf<Value>(bottom[0]->order(side)));
      const Dtype* coefficients = scale.data(Order::kCaffe, side);
      const Value* x = bottom[0]->template data_of<Value>(at.order, side);
      RunOn<Value>(side, ScaleShift<Dtype>, &cuda::Kernels<Value>::ScaleShift,
                   at.broadcast, nullptr, coefficients, bias_or_null(side), x,
                   top[0]->template write_data_of<Value>(at.order, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Side side = this->side();
    Dtype* dscale = nullptr;
    if (learned_ && this->learns(0)) {
      dscale = Replaces(*bottom[0])
                   ? ZeroDiff(this->blobs_[0].get(), side)
                   : this->blobs_[0]->mutable_diff(Order::kCaffe, side);
    }
    if (!learned_ && propagate_down[1]) dscale = ZeroDiff(bottom[1], side);
    const bool bias = has_bias_ && this->learns(this->blobs_.size() - 1);
    Dtype* dshift = nullptr;
    if (bias) dshift = this->blobs_.back()->mutable_diff(Order::kCaffe, side);
    Blob<Dtype>* below = propagate_down[0] ? bottom[0] : nullptr;
    WithValues<Dtype>(side, [&](auto kind) {
      BackwardAs<decltype(kind)>(*top[0], Scale(bottom), input_.of(*bottom[0]),
                                 dscale, dshift, below);
    });
  }

  void Affine(Dtype* scale, Dtype* shift) const override {
    const Blob<Dtype>& blob = *this->blobs_[0];
    const Dtype* bias = bias_or_null();
    std::copy_n(blob.data(), blob.count(), scale);
    std::fill_n(shift, blob.count(), Dtype(0));
    if (bias) std::copy_n(bias, blob.count(), shift);
  }

 private:
  bool Replaces(const Blob<Dtype>& bottom) const {
    const int64_t scales = this->blobs_[0]->count();
    const bool one_of_many = scales == 1 && bottom.count() > 1;
    return bottom.count(0, bottom.CanonicalAxis(axis_)) == 1 && !one_of_many;
  }
  template <typename Value>
  void BackwardAs(const Blob<Dtype>& top, const Blob<Dtype>& scale,
                  const Blob<Dtype>& input, Dtype* dscale, Dtype* dshift,
                  Blob<Dtype>* below) {
    const Side side = this->side();
    const Placement at =
        Place(input, axis_, scale, OrderOf<Value>(input.order(side)));
    const Value* dy = top.template diff_of<Value>(at.order, side);
    if (dscale || dshift) {
      AddScaleShiftGradients<Value>(
          side, at.broadcast, input.template data_of<Value>(at.order, side), dy,
          dscale, dshift);
    }
    if (!below) return;
    RunOn<Value>(side, ScaleShift<Dtype>, &cuda::Kernels<Value>::ScaleShift,
                 at.broadcast, nullptr, scale.data(Order::kCaffe, side),
                 nullptr, dy,
                 below->template write_diff_of<Value>(at.order, side));
  }
  const Blob<Dtype>& Scale(const Blobs& bottom) const {
    return learned_ ? *this->blobs_[0] : *bottom[1];
  }
  const Dtype* bias_or_null(Side side = Side::kHost) const {
    if (!has_bias_) return nullptr;
    return this->blobs_.back()->data(Order::kCaffe, side);
  }

  int64_t axis_ = 1;
  bool learned_ = true;
  bool has_bias_ = false;
  bool per_channel_ = false;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(Scale, ScaleLayer);

}  // namespace p3d
