#include "kernels/embed.hpp"

#include <cmath>

#include "kernels/error.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

template <typename Dtype>
void Embed(int64_t count, int64_t inputs, int64_t outputs, const Dtype* x,
           const Dtype* weights, const Dtype* bias, Dtype* y) {
  ParallelRanges(count, RowsPerRange(outputs), [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const double index = std::trunc(static_cast<double>(x[m]));
      Check(index >= 0 && index < static_cast<double>(inputs), "the index ",
            x[m], " is not below input_dim ", inputs);
      const Dtype* row = weights + static_cast<int64_t>(index) * outputs;
      for (int64_t o = 0; o < outputs; ++o) {
        y[m * outputs + o] = bias ? row[o] + bias[o] : row[o];
      }
    }
  });
}

template void Embed(int64_t, int64_t, int64_t, const float*, const float*,
                    const float*, float*);
template void Embed(int64_t, int64_t, int64_t, const double*, const double*,
                    const double*, double*);

}  // namespace p3d
