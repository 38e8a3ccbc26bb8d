#include "kernels/softmax.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Neighbours along the inner axis that are done together.
constexpr int64_t kColumns = 64;

template <typename Dtype>
void SoftmaxRow(const Dtype* x, int64_t channels, Dtype* y) {
  Dtype most = x[0];
  for (int64_t c = 1; c < channels; ++c) most = std::max(most, x[c]);
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) {
    y[c] = std::exp(x[c] - most);
    sum += y[c];
  }
  const Dtype divisor = static_cast<Dtype>(sum);
  for (int64_t c = 0; c < channels; ++c) y[c] /= divisor;
}

// The same for `columns` neighbours; channel c lies at x + c * inner.
template <typename Dtype>
void SoftmaxColumns(const Dtype* x, int64_t channels, int64_t inner,
                    int64_t columns, Dtype* y) {
  Dtype most[kColumns];
  double sum[kColumns] = {};
  std::copy(x, x + columns, most);
  for (int64_t c = 1; c < channels; ++c) {
    const Dtype* from = x + c * inner;
    for (int64_t i = 0; i < columns; ++i) most[i] = std::max(most[i], from[i]);
  }
  for (int64_t c = 0; c < channels; ++c) {
    const Dtype* from = x + c * inner;
    Dtype* to = y + c * inner;
    for (int64_t i = 0; i < columns; ++i) {
      to[i] = std::exp(from[i] - most[i]);
      sum[i] += to[i];
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    Dtype* to = y + c * inner;
    for (int64_t i = 0; i < columns; ++i) to[i] /= static_cast<Dtype>(sum[i]);
  }
}

}  // namespace

template <typename Dtype>
void Softmax(const AxisView& s, const Dtype* x, Dtype* y) {
  if (s.channels == 0) return;
  const int64_t blocks = (s.inner + kColumns - 1) / kColumns;
  const int64_t width = s.channels * std::min(s.inner, kColumns);
  ParallelRanges(
      s.outer * blocks, RowsPerRange(width), [&](int64_t begin, int64_t end) {
        for (int64_t block = begin; block < end; ++block) {
          const int64_t column = block % blocks * kColumns;
          const int64_t offset = block / blocks * s.channels * s.inner + column;
          if (s.inner == 1) {
            SoftmaxRow(x + offset, s.channels, y + offset);
          } else {
            SoftmaxColumns(x + offset, s.channels, s.inner,
                           std::min(kColumns, s.inner - column), y + offset);
          }
        }
      });
}

template <typename Dtype>
void SoftmaxBackward(const AxisView& s, const Dtype* y, const Dtype* dy,
                     Dtype* dx) {
  ParallelRanges(s.outer * s.inner, RowsPerRange(s.channels),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t position = begin; position < end; ++position) {
                     const int64_t start = s.start(position);
                     const int64_t stop = start + s.channels * s.inner;
                     double sum = 0;
                     for (int64_t i = start; i < stop; i += s.inner) {
                       sum += static_cast<double>(dy[i]) * y[i];
                     }
                     const Dtype mean = static_cast<Dtype>(sum);
                     for (int64_t i = start; i < stop; i += s.inner) {
                       dx[i] = y[i] * (dy[i] - mean);
                     }
                   }
                 });
}

template void Softmax(const AxisView&, const float*, float*);
template void Softmax(const AxisView&, const double*, double*);
template void SoftmaxBackward(const AxisView&, const float*, const float*,
                              float*);
template void SoftmaxBackward(const AxisView&, const double*, const double*,
                              double*);

}  // namespace p3d
