#include <algorithm>

#include "engine/layers/recurrent_layer.hpp"
#include "kernels/lstm.hpp"

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
    LstmStep(streams(), this->width(), before[1], gates, continues, after[1],
             after[0]);
  }

  void StepBackward(const Dtype* gates, const Dtype* continues,
                    const States& before, const States& after,
                    const States& diffs, Dtype* dgates) override {
    LstmStepBackward(streams(), this->width(), before[1], gates, continues,
                     after[1], diffs[1], diffs[0], diffs[1], dgates);
  }

  void Finish(Blob<Dtype>* h, Blob<Dtype>* top) override {
    std::copy_n(h->data(), h->count(), top->write_data());
  }

  void FinishBackward(Blob<Dtype>* top, Blob<Dtype>* h) override {
    std::copy_n(top->diff(), h->count(), h->write_diff());
  }

 private:
  int64_t streams() const { return this->hidden_shape()[1]; }
};

P3D_REGISTER_LAYER(LSTM, LSTMLayer);

}  // namespace p3d
