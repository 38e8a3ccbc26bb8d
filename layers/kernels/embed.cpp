#include "kernels/embed.hpp"

#include "kernels/error.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

template <typename Dtype>
int64_t RowOf(const Dtype* x, int64_t m, int64_t inputs) {
  const int64_t row = EmbedIndex(x, inputs).find(m);
  if (row < 0) RefuseEmbedIndex(x[m], inputs);
  return row;
}

}  // namespace

void RefuseEmbedIndex(double index, int64_t inputs) {
  Fail("the index ", index, " is not below input_dim ", inputs);
}

template <typename Dtype>
void Embed(int64_t count, int64_t inputs, int64_t outputs, const Dtype* x,
           const Dtype* weights, const Dtype* bias, Dtype* y) {
  ParallelRanges(count, RowsPerRange(outputs), [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const Dtype* row = weights + RowOf(x, m, inputs) * outputs;
      for (int64_t o = 0; o < outputs; ++o) {
        y[m * outputs + o] = bias ? row[o] + bias[o] : row[o];
      }
    }
  });
}

template <typename Dtype>
void EmbedBackward(int64_t count, int64_t inputs, int64_t outputs,
                   const Dtype* x, const Dtype* dy, Dtype* dweights) {
  for (int64_t m = 0; m < count; ++m) {
    Dtype* row = dweights + RowOf(x, m, inputs) * outputs;
    for (int64_t o = 0; o < outputs; ++o) row[o] += dy[m * outputs + o];
  }
}

#define P3D_INSTANTIATE(Dtype)                                               \
  template void Embed(int64_t, int64_t, int64_t, const Dtype*, const Dtype*, \
                      const Dtype*, Dtype*);                                 \
  template void EmbedBackward(int64_t, int64_t, int64_t, const Dtype*,       \
                              const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
