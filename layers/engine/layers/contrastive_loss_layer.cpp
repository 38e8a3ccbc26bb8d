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
    const Fields& param = this->Param("contrastive_loss_param");
    const int64_t pairs = bottom[0]->shape(0);
    const double sum =
        ContrastiveLoss(pairs, bottom[0]->count(1), bottom[0]->data(),
                        bottom[1]->data(), bottom[2]->data(),
                        {param.Float("margin"), param.Bool("legacy_version")});
    this->SetLoss(sum / static_cast<double>(pairs) / 2, top);
  }
};

P3D_REGISTER_LAYER(ContrastiveLoss, ContrastiveLossLayer);

}  // namespace p3d
