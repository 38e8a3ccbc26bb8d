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

  void Step(const Dtype* gates, const Dtype* continues,
            std::vector<Blob<Dtype>>* states, Dtype* h) override {
    Blob<Dtype>& cells = (*states)[1];
    Dtype* c = cells.mutable_data();
    LstmStep(cells.shape(1), this->width(), c, gates, continues, c, h);
    std::copy(h, h + cells.count(), (*states)[0].write_data());
  }

  void Finish(Blob<Dtype>* h, Blob<Dtype>* top) override {
    const Dtype* from = h->data();
    std::copy(from, from + h->count(), top->write_data());
  }
};

P3D_REGISTER_LAYER(LSTM, LSTMLayer);

}  // namespace p3d
