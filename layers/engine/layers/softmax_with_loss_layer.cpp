#include <algorithm>
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

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    view_ = bottom[0]->around(
        bottom[0]->CanonicalAxis(this->Param("softmax_param").Int("axis")));
    this->CheckLabelCount(view_, *bottom[1]);
    prob_.ReshapeLike(*bottom[0]);
    if (top.size() == 2) top[1]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    Dtype* prob = prob_.write_data();
    Softmax(view_, bottom[0]->data(), prob);
    const LossSum loss = LogLoss<Dtype>(
        view_, prob, this->LabelsOf(*bottom[1], view_.channels), FLT_MIN);
    this->SetLoss(
        loss.sum,
        this->Divisor(this->Normalization("VALID"), view_, loss.valid), top);
    if (top.size() < 2) return;
    std::copy(prob, prob + prob_.count(), top[1]->write_data());
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    SoftmaxLossBackward(view_, prob_.data(),
                        this->LabelsOf(*bottom[1], view_.channels),
                        this->Factor(top), bottom[0]->write_diff());
  }

 private:
  AxisView view_;
  Blob<Dtype> prob_;
};

P3D_REGISTER_LAYER(SoftmaxWithLoss, SoftmaxWithLossLayer);

}  // namespace p3d
