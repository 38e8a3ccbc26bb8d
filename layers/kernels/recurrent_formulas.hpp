#ifndef P3D_KERNELS_RECURRENT_FORMULAS_HPP_
#define P3D_KERNELS_RECURRENT_FORMULAS_HPP_

#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.hpp"
#include "kernels/pointwise_formulas.hpp"

namespace p3d {

// The functions of recurrent.hpp for value i, of stream n: written once for the
// host and for GPUs.

template <typename Dtype>
struct ContinueState {
  const Dtype *continues, *h;
  Dtype* continued;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t n) const {
    continued[i] = continues[n] == 0 ? Dtype(0) : continues[n] * h[i];
  }
};

template <typename Dtype>
struct LstmCell {
  int64_t width;
  const Dtype *c_before, *gates, *continues;
  Dtype *c, *h;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t n) const {
    const Dtype* gate = gates + 3 * n * width + i;
    const Dtype kept = continues[n] == 0
                           ? Dtype(0)
                           : continues[n] * Logistic(gate[width]) * c_before[i];
    const Dtype cell = kept + Logistic(gate[0]) * std::tanh(gate[3 * width]);
    c[i] = cell;
    h[i] = Logistic(gate[2 * width]) * std::tanh(cell);
  }
};

template <typename Dtype>
struct LstmCellBackward {
  int64_t width;
  const Dtype *c_before, *gates, *continues, *c, *dc, *dh;
  Dtype *dc_before, *dgates;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t n) const {
    const int64_t at = 3 * n * width + i;
    const Dtype in = Logistic(gates[at]);
    const Dtype out = Logistic(gates[at + 2 * width]);
    const Dtype value = std::tanh(gates[at + 3 * width]);
    const Dtype cell = std::tanh(c[i]);
    const bool goes_on = continues[n] != 0;
    const Dtype before = goes_on ? c_before[i] : Dtype(0);
    const Dtype forget =
        goes_on ? continues[n] * Logistic(gates[at + width]) : Dtype(0);
    const Dtype g = dc[i] + dh[i] * out * (1 - cell * cell);
    dgates[at] = g * value * in * (1 - in);
    dgates[at + width] = g * before * forget * (1 - forget);
    dgates[at + 2 * width] = dh[i] * cell * out * (1 - out);
    dgates[at + 3 * width] = g * in * (1 - value * value);
    dc_before[i] = g * forget;
  }
};

}  // namespace p3d

#endif  // P3D_KERNELS_RECURRENT_FORMULAS_HPP_
