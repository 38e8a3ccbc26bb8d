#include "kernels/lstm.hpp"

#include <cmath>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

template <typename Dtype>
Dtype Logistic(Dtype v) {
  return 1 / (1 + std::exp(-v));
}

}  // namespace

template <typename Dtype>
void LstmStep(int64_t streams, int64_t width, const Dtype* c_before,
              const Dtype* gates, const Dtype* continues, Dtype* c, Dtype* h) {
  if (width == 0) return;
  // Five transcendental functions per value: smaller ranges pay.
  ParallelRanges(streams * width, kRange / 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / width;
      const Dtype* gate = gates + n * 4 * width + i % width;
      // Not multiplied by 0: what a finished sequence left may be infinite.
      const Dtype kept =
          continues[n] == 0
              ? Dtype(0)
              : continues[n] * Logistic(gate[width]) * c_before[i];
      c[i] = kept + Logistic(gate[0]) * std::tanh(gate[3 * width]);
      h[i] = Logistic(gate[2 * width]) * std::tanh(c[i]);
    }
  });
}

template <typename Dtype>
void LstmStepBackward(int64_t streams, int64_t width, const Dtype* c_before,
                      const Dtype* gates, const Dtype* continues,
                      const Dtype* c, const Dtype* dc, const Dtype* dh,
                      Dtype* dc_before, Dtype* dgates) {
  if (width == 0) return;
  ParallelRanges(streams * width, kRange / 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / width;
      const int64_t at = n * 4 * width + i % width;
      const Dtype in = Logistic(gates[at]);
      const Dtype out = Logistic(gates[at + 2 * width]);
      const Dtype value = std::tanh(gates[at + 3 * width]);
      const Dtype cell = std::tanh(c[i]);
      // Not multiplied by 0, as in the step itself.
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
  });
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void LstmStep(int64_t, int64_t, const Dtype*, const Dtype*,         \
                         const Dtype*, Dtype*, Dtype*);                        \
  template void LstmStepBackward(int64_t, int64_t, const Dtype*, const Dtype*, \
                                 const Dtype*, const Dtype*, const Dtype*,     \
                                 const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
