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
    Check(bottom[0]->count() == bottom[1]->count(),
          "needs bottoms of one size; "
          "bottom 0 is ",
          ShapeString(bottom[0]->shape()), ", bottom 1 is ",
          ShapeString(bottom[1]->shape()));
    Check(bottom[2]->count() == bottom[0]->shape(0),
          "needs one label for each "
          "of the ",
          bottom[0]->shape(0), " pairs, not ", ShapeString(bottom[2]->shape()));
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const int64_t pairs = bottom[0]->shape(0);
    const double sum =
        ContrastiveLoss(pairs, bottom[0]->count(1), bottom[0]->data(),
                        bottom[1]->data(), bottom[2]->data(), Rule());
    this->SetLoss(sum, 2. * pairs, top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    for (int i = 0; i < 2; ++i) {
      if (!propagate_down[i]) continue;
      ContrastiveLossBackward(
          bottom[0]->shape(0), bottom[0]->count(1), bottom[0]->data(),
          bottom[1]->data(), bottom[2]->data(), Rule(),
          (i == 0 ? 1 : -1) * this->Factor(top), bottom[i]->write_diff());
    }
  }

  bool Differentiable(int index) const override { return index < 2; }

 private:
  ContrastiveRule Rule() const {
    const Fields& param = this->Param("contrastive_loss_param");
    return {param.Float("margin"), param.Bool("legacy_version")};
  }
};

P3D_REGISTER_LAYER(ContrastiveLoss, ContrastiveLossLayer);

}  // namespace p3d
