#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// MultinomialLogisticLoss: - sum of log(max(bottom0[n, label], 1e-20)) / N; the
// bottom holds probabilities, for example of a Softmax layer.
template <typename Dtype>
class MultinomialLogisticLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    view_ = {bottom[0]->shape(0), bottom[0]->count(1), 1};
    this->CheckLabelCount(view_, *bottom[1]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Dtype* prob = bottom[0]->data(Order::kCaffe, this->side());
    const Labels<Dtype> labels = Labeled(bottom);
    const LossSum loss =
        this->Sum(LogLoss<Dtype>, &cuda::Kernels<Dtype>::LogLoss, view_.outer,
                  labels, view_, prob, labels, Dtype(kLeast));
    this->SetLoss(loss.sum, static_cast<double>(view_.outer), top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    RunOn<Dtype>(side, LogLossBackward<Dtype>,
                 &cuda::Kernels<Dtype>::LogLossBackward, view_,
                 bottom[0]->data(Order::kCaffe, side), Labeled(bottom),
                 Dtype(kLeast), this->Factor(top),
                 bottom[0]->write_diff(Order::kCaffe, side));
  }

 private:
  Labels<Dtype> Labeled(const Blobs& bottom) const {
    return {bottom[1]->data(Order::kCaffe, this->side()), view_.channels};
  }

  static constexpr Dtype kLeast = static_cast<Dtype>(1e-20);
  AxisView view_;
};

P3D_REGISTER_LAYER(MultinomialLogisticLoss, MultinomialLogisticLossLayer);

}  // namespace p3d
