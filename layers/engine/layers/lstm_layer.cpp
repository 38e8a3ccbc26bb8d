#include "engine/layers/recurrent_layer.hpp"
#include "kernels/recurrent.hpp"

namespace p3d {

// LSTM: see RecurrentLayer for bottoms, tops and blobs, LstmStep for the
// formula. The states are h and the cells c; the first top is h.
template <typename Dtype>
class LSTMLayer : public RecurrentLayer<Dtype> {
 public:
  using RecurrentLayer<Dtype>::RecurrentLayer;

 protected:
  int64_t gates() const override { return 4; }
  int states() const override { return 2; }

  using typename RecurrentLayer<Dtype>::States;

  void Step(const Dtype* gates, const Dtype* continues, const States& before,
            const States& after) override {
    RunOn<Dtype>(this->side(), LstmStep<Dtype>, &cuda::Kernels<Dtype>::LstmStep,
                 streams(), this->width(), before[1], gates, continues,
                 after[1], after[0]);
  }

  void StepBackward(const Dtype* gates, const Dtype* continues,
                    const States& before, const States& after,
                    const States& diffs, Dtype* dgates) override {
    RunOn<Dtype>(this->side(), LstmStepBackward<Dtype>,
                 &cuda::Kernels<Dtype>::LstmStepBackward, streams(),
                 this->width(), before[1], gates, continues, after[1], diffs[1],
                 diffs[0], diffs[1], dgates);
  }

  void Finish(Blob<Dtype>* h, Blob<Dtype>* top) override {
    top->CopyFrom(*h, Order::kCaffe, this->side());
  }

  void FinishBackward(Blob<Dtype>* top, Blob<Dtype>* h) override {
    const Side side = this->side();
    CopyOn(side, top->diff(Order::kCaffe, side), h->count(),
           h->write_diff(Order::kCaffe, side));
  }

 private:
  int64_t streams() const { return this->hidden_shape()[1]; }
};

P3D_REGISTER_LAYER(LSTM, LSTMLayer);

}  // namespace p3d
