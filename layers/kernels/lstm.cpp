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

template void LstmStep(int64_t, int64_t, const float*, const float*,
                       const float*, float*, float*);
template void LstmStep(int64_t, int64_t, const double*, const double*,
                       const double*, double*, double*);

}  // namespace p3d
