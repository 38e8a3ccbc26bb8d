#include "engine/layers/recurrent_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// RNN: see RecurrentLayer for bottoms, tops and blobs; the state is
// h = tanh(gates), the first top tanh(W_o h + b_o). W_o (D, D) and b_o (D) are
// the last blobs.
template <typename Dtype>
class RNNLayer : public RecurrentLayer<Dtype> {
 public:
  using RecurrentLayer<Dtype>::RecurrentLayer;
  using typename RecurrentLayer<Dtype>::Blobs;

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    RecurrentLayer<Dtype>::LayerSetUp(bottom, top);
    Blob<Dtype> hidden(this->hidden_shape());
    this->Add(&out_, this->width(), true, 2, &hidden);
  }

  int64_t macs() const override {
    return RecurrentLayer<Dtype>::macs() + out_.layer->macs();
  }

 protected:
  int64_t gates() const override { return 1; }
  int states() const override { return 1; }

  using typename RecurrentLayer<Dtype>::States;

  void Step(const Dtype* gates, const Dtype*, const States&,
            const States& after) override {
    Tanh(gates, this->state_count(), after[0]);
  }

  void StepBackward(const Dtype*, const Dtype*, const States&,
                    const States& after, const States& diffs,
                    Dtype* dgates) override {
    TanhBackward(after[0], diffs[0], this->state_count(), dgates);
  }

  void Finish(Blob<Dtype>* h, Blob<Dtype>* top) override {
    out_.Reshape(h);
    const Dtype* sum = out_.Run(h);
    Tanh(sum, h->count(), top->write_data());
  }

  void FinishBackward(Blob<Dtype>* top, Blob<Dtype>* h) override {
    TanhBackward(top->data(), top->diff(), h->count(), out_.out.write_diff());
    this->RunBackward(&out_, true, h);
  }

 private:
  typename RecurrentLayer<Dtype>::Transform out_;
};

P3D_REGISTER_LAYER(RNN, RNNLayer);

}  // namespace p3d
