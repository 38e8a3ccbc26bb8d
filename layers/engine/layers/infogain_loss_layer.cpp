#include <algorithm>

#include "engine/layers/loss_layer.hpp"
#include "kernels/losses.hpp"
#include "kernels/softmax.hpp"

namespace p3d {

// InfogainLoss: - sum of H[label, c] log(softmax(bottom 0)[c]) over all classes
// c and positions along infogain_loss_param's axis, labels in bottom 1, divided
// as loss_param says. The matrix H (classes x classes) is bottom 2, or what the
// file `source` holds, which the engine is given as the field "matrix". A
// second top gets the softmax.
template <typename Dtype>
class InfogainLossLayer : public LossLayer<Dtype> {
 public:
  using LossLayer<Dtype>::LossLayer;
  using typename LossLayer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, 3, 1, 2, false}; }
  bool HasGpu() const override { return true; }

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    Check(!this->Param("loss_param").Has("normalize"),
          "does not know normalize; use normalization");
    if (bottom.size() == 3) return;
    const Fields& param = this->Param("infogain_loss_param");
    Check(param.Has("source"),
          "needs a matrix: a third bottom or infogain_loss_param { source }");
    const std::vector<double> values = param.Floats("matrix");
    matrix_.Reshape({static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), matrix_.write_data());
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    LossLayer<Dtype>::Reshape(bottom, top);
    view_ = bottom[0]->around(bottom[0]->CanonicalAxis(
        this->Param("infogain_loss_param").Int("axis")));
    this->CheckLabelCount(view_, *bottom[1]);
    const int64_t entries = (bottom.size() == 3 ? *bottom[2] : matrix_).count();
    Check(entries == view_.channels * view_.channels, "needs a matrix of ",
          view_.channels, " x ", view_.channels, ", not of ", entries,
          " values");
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
        InfogainLoss<Dtype>, &cuda::Kernels<Dtype>::InfogainLoss, view_.count(),
        labels, view_, prob, labels, Matrix(bottom), Dtype(1e-20));
    this->SetLoss(
        loss.sum,
        this->Divisor(this->Normalization("VALID"), view_, loss.valid), top);
    if (top.size() > 1) top[1]->CopyFrom(prob_, Order::kCaffe, side);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    RunOn<Dtype>(side, SoftmaxInfogainBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SoftmaxInfogainBackward, view_,
                 prob_.data(Order::kCaffe, side),
                 this->LabelsOf(*bottom[1], view_.channels, side),
                 Matrix(bottom), this->Factor(top),
                 bottom[0]->write_diff(Order::kCaffe, side));
  }

 private:
  const Dtype* Matrix(const Blobs& bottom) const {
    const Blob<Dtype>& matrix = bottom.size() == 3 ? *bottom[2] : matrix_;
    return matrix.data(Order::kCaffe, this->side());
  }

  AxisView view_;
  Blob<Dtype> prob_;
  Blob<Dtype> matrix_;
};

P3D_REGISTER_LAYER(InfogainLoss, InfogainLossLayer);

}  // namespace p3d
