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
    const Labels<Dtype> labels{bottom[1]->data(), view_.channels};
    const double sum =
        LogLoss(view_, bottom[0]->data(), labels, static_cast<Dtype>(1e-20))
            .sum;
    this->SetLoss(sum, static_cast<double>(view_.outer), top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Labels<Dtype> labels{bottom[1]->data(), view_.channels};
    LogLossBackward(view_, bottom[0]->data(), labels, static_cast<Dtype>(1e-20),
                    this->Factor(top), bottom[0]->write_diff());
  }

 private:
  AxisView view_;
};

P3D_REGISTER_LAYER(MultinomialLogisticLoss, MultinomialLogisticLossLayer);

}  // namespace p3d
