#ifndef P3D_KERNELS_RECURRENT_HPP_
#define P3D_KERNELS_RECURRENT_HPP_

#include <cstdint>

namespace p3d {

// continued[n, i] = continues[n] * h[n, i], of (streams, width) values. Where
// continues[n] is 0 a new sequence begins, and the result is 0 whatever h is:
// what a finished sequence left may be infinite. `continued` may be h.
template <typename Dtype>
void ContinueStates(int64_t streams, int64_t width, const Dtype* continues,
                    const Dtype* h, Dtype* continued);

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

// From the gradients dc and dh of c and h to those of the gates and of
// c_before:
//
//   g = dc + dh sigmoid(output) (1 - tanh(c)^2)
//   dgates = (g tanh(value), g c_before, dh tanh(c), g sigmoid(input))
//            times the functions' own slopes
//   dc_before = g continues sigmoid(forget)
//
// continues times sigmoid(forget) counts as one logistic function, which is
// exact for 0 and 1 (Caffe's formula). dc_before may be dc.
template <typename Dtype>
void LstmStepBackward(int64_t streams, int64_t width, const Dtype* c_before,
                      const Dtype* gates, const Dtype* continues,
                      const Dtype* c, const Dtype* dc, const Dtype* dh,
                      Dtype* dc_before, Dtype* dgates);

}  // namespace p3d

#endif  // P3D_KERNELS_RECURRENT_HPP_
