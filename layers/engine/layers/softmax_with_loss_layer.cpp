#include <cfloat>

#include "engine/layers/softmax_loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// SoftmaxWithLoss: - sum of log(softmax(bottom 0)[label]) over all positions
// along softmax_param's axis, labels in bottom 1, divided as loss_param says
// (by default by the number of labels that are not ignored). A second top gets
// the softmax.
template <typename Dtype>
class SoftmaxWithLossLayer : public SoftmaxLossLayer<Dtype> {
 public:
  using SoftmaxLossLayer<Dtype>::SoftmaxLossLayer;
  using typename SoftmaxLossLayer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, 2, 1, 2, false}; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->ReshapeSoftmax(this->Param("softmax_param").Int("axis"), bottom, top);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const AxisView& view = this->view();
    const Dtype* prob = this->MakeSoftmax(bottom);
    const Labels<Dtype> labels = this->LabelsIn(bottom);
    const LossSum loss = this->Sum(
        LogLoss<Dtype>, &cuda::Kernels<Dtype>::LogLoss, view.outer * view.inner,
        labels, view, prob, labels, Dtype(FLT_MIN));
    this->SetTops(loss, top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    RunOn<Dtype>(side, SoftmaxLossBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SoftmaxLossBackward, this->view(),
                 this->softmax(), this->LabelsIn(bottom), this->Factor(top),
                 bottom[0]->write_diff(Order::kCaffe, side));
  }
};

P3D_REGISTER_LAYER(SoftmaxWithLoss, SoftmaxWithLossLayer);

}  // namespace p3d
