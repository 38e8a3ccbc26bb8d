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
    RunOn<Dtype>(this->side(), Tanh<Dtype>, &cuda::Kernels<Dtype>::Tanh, gates,
                 this->state_count(), after[0]);
  }

  void StepBackward(const Dtype*, const Dtype*, const States&,
                    const States& after, const States& diffs,
                    Dtype* dgates) override {
    BackThroughTanh(after[0], diffs[0], this->state_count(), dgates);
  }

  void Finish(Blob<Dtype>* h, Blob<Dtype>* top) override {
    const Side side = this->side();
    out_.Reshape(h);
    const Dtype* sum = out_.Run(h, side);
    RunOn<Dtype>(side, Tanh<Dtype>, &cuda::Kernels<Dtype>::Tanh, sum,
                 h->count(), top->write_data(Order::kCaffe, side));
  }

  void FinishBackward(Blob<Dtype>* top, Blob<Dtype>* h) override {
    const Side side = this->side();
    const Order order = Order::kCaffe;
    const Dtype* y = top->data(order, side);
    BackThroughTanh(y, top->diff(order, side), h->count(),
                    out_.out.write_diff(order, side));
    this->RunBackward(&out_, true, h);
  }

 private:
  void BackThroughTanh(const Dtype* y, const Dtype* dy, int64_t count,
                       Dtype* dx) const {
    RunOn<Dtype>(this->side(), TanhBackward<Dtype>,
                 &cuda::Kernels<Dtype>::TanhBackward, y, dy, count, dx);
  }

  typename RecurrentLayer<Dtype>::Transform out_;
};

P3D_REGISTER_LAYER(RNN, RNNLayer);

}  // namespace p3d
