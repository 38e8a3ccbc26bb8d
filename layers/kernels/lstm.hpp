#ifndef P3D_KERNELS_LSTM_HPP_
#define P3D_KERNELS_LSTM_HPP_

#include <cstdint>

namespace p3d {

// One time step of `streams` LSTM cells of `width` values each. `gates` is
// (streams, 4, width): input, forget and output gate and new value before their
// functions. continues[n] is 0 where stream n begins a new sequence, else 1.
//
//   c = continues * sigmoid(forget) * c_before + sigmoid(input) * tanh(value)
//   h = sigmoid(output) * tanh(c)
//
// c may be c_before.
template <typename Dtype>
void LstmStep(int64_t streams, int64_t width, const Dtype* c_before,
              const Dtype* gates, const Dtype* continues, Dtype* c, Dtype* h);

}  // namespace p3d

#endif  // P3D_KERNELS_LSTM_HPP_
