#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// SigmoidCrossEntropyLoss: - sum of t log(p) + (1 - t) log(1 - p) with
// p = sigmoid(bottom 0) and targets t (bottom 1), divided by the batch size
// unless loss_param says otherwise.
template <typename Dtype>
class SigmoidCrossEntropyLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    this->CheckSameSize(bottom);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Fields& param = this->Param("loss_param");
    const Side side = this->side();
    const int64_t count = bottom[0]->count();
    const LossSum loss =
        this->Sum(SigmoidCrossEntropyLoss<Dtype>,
                  &cuda::Kernels<Dtype>::SigmoidCrossEntropyLoss, count,
                  Labels<Dtype>(), count, bottom[0]->data(Order::kCaffe, side),
                  bottom[1]->data(Order::kCaffe, side),
                  param.Has("ignore_label"), param.Int("ignore_label"));
    const AxisView view{bottom[0]->shape(0), 1, bottom[0]->count(1)};
    this->SetLoss(
        loss.sum,
        this->Divisor(this->Normalization("BATCH_SIZE"), view, loss.valid),
        top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Fields& param = this->Param("loss_param");
    const Side side = this->side();
    RunOn<Dtype>(side, SigmoidCrossEntropyBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SigmoidCrossEntropyBackward,
                 bottom[0]->count(), bottom[0]->data(Order::kCaffe, side),
                 bottom[1]->data(Order::kCaffe, side),
                 param.Has("ignore_label"), param.Int("ignore_label"),
                 this->Factor(top), bottom[0]->write_diff(Order::kCaffe, side));
  }
};

P3D_REGISTER_LAYER(SigmoidCrossEntropyLoss, SigmoidCrossEntropyLossLayer);

}  // namespace p3d
