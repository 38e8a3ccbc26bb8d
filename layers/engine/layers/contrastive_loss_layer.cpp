#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// ContrastiveLoss: pairs of vectors (bottoms 0 and 1) that bottom 2 calls
// similar (1) or not (0); sum of d^2 or max(margin - d, 0)^2 / (2 N).
template <typename Dtype>
class ContrastiveLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(3, 1); }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    this->CheckSameSize(bottom);
    Check(bottom[2]->count() == bottom[0]->shape(0),
          "needs one label for each "
          "of the ",
          bottom[0]->shape(0), " pairs, not ", ShapeString(bottom[2]->shape()));
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const int64_t pairs = bottom[0]->shape(0);
    const Side side = this->side();
    const PairLabels<Dtype> similar = Similar(bottom);
    const LossSum loss =
        this->Sum(ContrastiveLoss<Dtype>,
                  &cuda::Kernels<Dtype>::ContrastiveLoss, pairs, similar, pairs,
                  bottom[0]->count(1), bottom[0]->data(Order::kCaffe, side),
                  bottom[1]->data(Order::kCaffe, side), similar, Rule());
    this->SetLoss(loss.sum, 2. * pairs, top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Side side = this->side();
    for (int i = 0; i < 2; ++i) {
      if (!propagate_down[i]) continue;
      RunOn<Dtype>(side, ContrastiveLossBackward<Dtype>,
                   &cuda::Kernels<Dtype>::ContrastiveLossBackward,
                   bottom[0]->shape(0), bottom[0]->count(1),
                   bottom[0]->data(Order::kCaffe, side),
                   bottom[1]->data(Order::kCaffe, side), Similar(bottom),
                   Rule(), (i == 0 ? 1 : -1) * this->Factor(top),
                   bottom[i]->write_diff(Order::kCaffe, side));
    }
  }

  bool Differentiable(int index) const override { return index < 2; }

 private:
  PairLabels<Dtype> Similar(const Blobs& bottom) const {
    return {bottom[2]->data(Order::kCaffe, this->side())};
  }
  ContrastiveRule Rule() const {
    const Fields& param = this->Param("contrastive_loss_param");
    return {param.Float("margin"), param.Bool("legacy_version")};
  }
};

P3D_REGISTER_LAYER(ContrastiveLoss, ContrastiveLossLayer);

}  // namespace p3d
