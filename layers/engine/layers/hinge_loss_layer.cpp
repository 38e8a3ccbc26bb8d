#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// HingeLoss: sum of max(0, 1 + s * bottom0) / N with s = -1 for the label of
// the item (bottom 1), else 1; or, with norm L2, of the squares.
template <typename Dtype>
class HingeLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    this->CheckLabelCount({bottom[0]->shape(0), bottom[0]->count(1), 1},
                          *bottom[1]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const int64_t items = bottom[0]->shape(0);
    const Dtype* x = bottom[0]->data(Order::kCaffe, this->side());
    const Labels<Dtype> labels = Labeled(bottom);
    const LossSum loss =
        this->Sum(HingeLoss<Dtype>, &cuda::Kernels<Dtype>::HingeLoss,
                  bottom[0]->count(), labels, items, x, labels, squared());
    this->SetLoss(loss.sum, static_cast<double>(items), top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    RunOn<Dtype>(side, HingeLossBackward<Dtype>,
                 &cuda::Kernels<Dtype>::HingeLossBackward, bottom[0]->shape(0),
                 bottom[0]->data(Order::kCaffe, side), Labeled(bottom),
                 squared(), this->Factor(top),
                 bottom[0]->write_diff(Order::kCaffe, side));
  }

 private:
  Labels<Dtype> Labeled(const Blobs& bottom) const {
    return {bottom[1]->data(Order::kCaffe, this->side()), bottom[0]->count(1)};
  }
  bool squared() const {
    return this->Param("hinge_loss_param").Str("norm") == "L2";
  }
};

P3D_REGISTER_LAYER(HingeLoss, HingeLossLayer);

}  // namespace p3d
