#include <cfloat>

#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"
#include "kernels/softmax.hpp"

namespace p3d {

// SoftmaxWithLoss: - sum of log(softmax(bottom 0)[label]) over all positions
// along softmax_param's axis, labels in bottom 1, divided as loss_param says
// (by default by the number of labels that are not ignored). A second top gets
// the softmax.
template <typename Dtype>
class SoftmaxWithLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, 2, 1, 2, false}; }
  bool HasGpu() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    view_ = bottom[0]->around(
        bottom[0]->CanonicalAxis(this->Param("softmax_param").Int("axis")));
    this->CheckLabelCount(view_, *bottom[1]);
    prob_.ReshapeLike(*bottom[0]);
    if (top.size() == 2) top[1]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    Dtype* prob = prob_.write_data(Order::kCaffe, side);
    RunOn<Dtype>(side, Softmax<Dtype>, &cuda::Kernels<Dtype>::Softmax, view_,
                 bottom[0]->data(Order::kCaffe, side), prob);
    const Labels<Dtype> labels =
        this->LabelsOf(*bottom[1], view_.channels, side);
    const LossSum loss = this->Sum(
        LogLoss<Dtype>, &cuda::Kernels<Dtype>::LogLoss,
        view_.outer * view_.inner, labels, view_, prob, labels, Dtype(FLT_MIN));
    this->SetLoss(
        loss.sum,
        this->Divisor(this->Normalization("VALID"), view_, loss.valid), top);
    if (top.size() > 1) top[1]->CopyFrom(prob_, Order::kCaffe, side);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    RunOn<Dtype>(side, SoftmaxLossBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SoftmaxLossBackward, view_,
                 prob_.data(Order::kCaffe, side),
                 this->LabelsOf(*bottom[1], view_.channels, side),
                 this->Factor(top), bottom[0]->write_diff(Order::kCaffe, side));
  }

 private:
  AxisView view_;
  Blob<Dtype> prob_;
};

P3D_REGISTER_LAYER(SoftmaxWithLoss, SoftmaxWithLossLayer);

}  // namespace p3d
