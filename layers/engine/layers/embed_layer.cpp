#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "kernels/affine.hpp"
#include "kernels/embed.hpp"

namespace p3d {

// Embed: row bottom[i] of a learned table in place of each value; top has one
// axis more. Blobs: the table (input_dim, num_output), and biases (num_output)
// unless bias_term is false.
template <typename Dtype>
class EmbedLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("embed_param");
    outputs_ = param.Int("num_output");
    inputs_ = param.Int("input_dim");
    Check(outputs_ > 0 && inputs_ > 0,
          "num_output and input_dim have to be given and at least 1");
    this->blobs_ = {std::make_shared<Blob<Dtype>>(Shape{inputs_, outputs_})};
    Fill(param.Sub("weight_filler"), this->blobs_[0]);
    if (!param.Bool("bias_term")) return;
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(Shape{outputs_}));
    Fill(param.Sub("bias_filler"), this->blobs_[1]);
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Shape shape = bottom[0]->shape();
    shape.push_back(outputs_);
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Dtype* bias =
        this->blobs_.size() > 1 ? this->blobs_[1]->data() : nullptr;
    const Dtype* x = bottom[0]->data();
    Embed(bottom[0]->count(), inputs_, outputs_, x, this->blobs_[0]->data(),
          bias, top[0]->write_data());
  }

  void Backward(const Blobs& top, const std::vector<bool>&,
                const Blobs& bottom) override {
    const Dtype* dy = top[0]->diff();
    if (this->learns(0)) {
      EmbedBackward(bottom[0]->count(), inputs_, outputs_, bottom[0]->data(),
                    dy, this->blobs_[0]->mutable_diff());
    }
    if (this->blobs_.size() > 1 && this->learns(1)) {
      ScaleShiftGradients<Dtype>({bottom[0]->count(), outputs_, 1}, nullptr, dy,
                                 nullptr, this->blobs_[1]->mutable_diff());
    }
  }

  bool Differentiable(int) const override { return false; }

 private:
  int64_t inputs_ = 0;
  int64_t outputs_ = 0;
};

P3D_REGISTER_LAYER(Embed, EmbedLayer);

}  // namespace p3d
