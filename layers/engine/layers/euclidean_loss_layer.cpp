#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// EuclideanLoss: sum of (bottom0 - bottom1)^2 / (2 N), of any number of axes.
template <typename Dtype>
class EuclideanLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    this->CheckSameSize(bottom);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const int64_t count = bottom[0]->count();
    const LossSum loss = this->Sum(
        SquaredDistance<Dtype>, &cuda::Kernels<Dtype>::SquaredDistance, count,
        Labels<Dtype>(), count, bottom[0]->data(Order::kCaffe, side),
        bottom[1]->data(Order::kCaffe, side));
    this->SetLoss(loss.sum, 2. * bottom[0]->shape(0), top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Side side = this->side();
    for (int i = 0; i < 2; ++i) {
      if (!propagate_down[i]) continue;
      RunOn<Dtype>(side, SquaredDistanceBackward<Dtype>,
                   &cuda::Kernels<Dtype>::SquaredDistanceBackward,
                   bottom[0]->count(), bottom[0]->data(Order::kCaffe, side),
                   bottom[1]->data(Order::kCaffe, side),
                   (i == 0 ? 1 : -1) * this->Factor(top),
                   bottom[i]->write_diff(Order::kCaffe, side));
    }
  }

  bool Differentiable(int) const override { return true; }
};

P3D_REGISTER_LAYER(EuclideanLoss, EuclideanLossLayer);

}  // namespace p3d
