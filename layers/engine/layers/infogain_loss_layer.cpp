#include <algorithm>

#include "engine/layers/softmax_loss_layer.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// InfogainLoss: - sum of H[label, c] log(softmax(bottom 0)[c]) over all classes
// c and positions along infogain_loss_param's axis, labels in bottom 1, divided
// as loss_param says. The matrix H (classes x classes) is bottom 2, or what the
// file `source` holds, which the engine is given as the field "matrix". A
// second top gets the softmax.
template <typename Dtype>
class InfogainLossLayer : public SoftmaxLossLayer<Dtype> {
 public:
  using SoftmaxLossLayer<Dtype>::SoftmaxLossLayer;
  using typename SoftmaxLossLayer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, 3, 1, 2, false}; }

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
    this->ReshapeSoftmax(this->Param("infogain_loss_param").Int("axis"), bottom,
                         top);
    const int64_t classes = this->view().channels;
    const int64_t entries = (bottom.size() == 3 ? *bottom[2] : matrix_).count();
    Check(entries == classes * classes, "needs a matrix of ", classes, " x ",
          classes, ", not of ", entries, " values");
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const AxisView& view = this->view();
    const Dtype* prob = this->MakeSoftmax(bottom);
    const Labels<Dtype> labels = this->LabelsIn(bottom);
    const LossSum loss = this->Sum(
        InfogainLoss<Dtype>, &cuda::Kernels<Dtype>::InfogainLoss, view.count(),
        labels, view, prob, labels, Matrix(bottom), Dtype(1e-20));
    this->SetTops(loss, top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    RunOn<Dtype>(side, SoftmaxInfogainBackward<Dtype>,
                 &cuda::Kernels<Dtype>::SoftmaxInfogainBackward, this->view(),
                 this->softmax(), this->LabelsIn(bottom), Matrix(bottom),
                 this->Factor(top), bottom[0]->write_diff(Order::kCaffe, side));
  }

 private:
  const Dtype* Matrix(const Blobs& bottom) const {
    const Blob<Dtype>& matrix = bottom.size() == 3 ? *bottom[2] : matrix_;
    return matrix.data(Order::kCaffe, this->side());
  }

  Blob<Dtype> matrix_;
};

P3D_REGISTER_LAYER(InfogainLoss, InfogainLossLayer);

}  // namespace p3d
