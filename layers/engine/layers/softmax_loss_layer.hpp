#ifndef P3D_ENGINE_LAYERS_SOFTMAX_LOSS_LAYER_HPP_
#define P3D_ENGINE_LAYERS_SOFTMAX_LOSS_LAYER_HPP_

#include <cstdint>

#include "engine/layers/loss_layer.hpp"
#include "kernels/softmax.hpp"

namespace p3d {

// What losses of the predictions' softmax along an axis have in common: they
// are divided as loss_param says, by default by the number of labels that are
// not ignored, and a second top gets the softmax.
template <typename Dtype>
class SoftmaxLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

 protected:
  void ReshapeSoftmax(int64_t axis, const Blobs& bottom, const Blobs& top) {
    LossLayer<Dtype>::Reshape(bottom, top);
    view_ = bottom[0]->around(bottom[0]->CanonicalAxis(axis));
    this->CheckLabelCount(view_, *bottom[1]);
    prob_.ReshapeLike(*bottom[0]);
    if (top.size() == 2) top[1]->ReshapeLike(*bottom[0]);
  }

  // The softmax of a Forward, made anew, and that of the last one.
  const Dtype* MakeSoftmax(const Blobs& bottom) {
    const Side side = this->side();
    Dtype* prob = prob_.write_data(Order::kCaffe, side);
    RunOn<Dtype>(side, Softmax<Dtype>, &cuda::Kernels<Dtype>::Softmax, view_,
                 bottom[0]->data(Order::kCaffe, side), prob);
    return prob;
  }
  const Dtype* softmax() const {
    return prob_.data(Order::kCaffe, this->side());
  }
  const AxisView& view() const { return view_; }
  // Bottom 1, by loss_param's ignore_label.
  Labels<Dtype> LabelsIn(const Blobs& bottom) const {
    const Fields& param = this->Param("loss_param");
    return {bottom[1]->data(Order::kCaffe, this->side()), view_.channels,
            param.Has("ignore_label"), param.Int("ignore_label")};
  }

  void SetTops(const LossSum& loss, const Blobs& top) {
    this->SetLoss(
        loss.sum,
        this->Divisor(this->Normalization("VALID"), view_, loss.valid), top);
    if (top.size() > 1) top[1]->CopyFrom(prob_, Order::kCaffe, this->side());
  }

 private:
  AxisView view_;
  Blob<Dtype> prob_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_SOFTMAX_LOSS_LAYER_HPP_
