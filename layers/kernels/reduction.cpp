#include "kernels/reduction.hpp"

#include <cmath>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

template <typename Dtype, typename Function>
void Reduce(int64_t rows, int64_t width, const Dtype* x, Dtype factor, Dtype* y,
            const Function& f) {
  ParallelRanges(rows, RowsPerRange(width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const Dtype* row = x + r * width;
      const double sum = SumRanges(width, [&](int64_t from, int64_t to) {
        double part = 0;
        for (int64_t i = from; i < to; ++i) part += f(row[i]);
        return part;
      });
      y[r] = static_cast<Dtype>(factor * sum);
    }
  });
}

}  // namespace

template <typename Dtype>
void ReduceRows(Reduction reduction, int64_t rows, int64_t width,
                const Dtype* x, Dtype factor, Dtype* y) {
  switch (reduction) {
    case Reduction::kSum:
      return Reduce(rows, width, x, factor, y, [](double v) { return v; });
    case Reduction::kAbsSum:
      return Reduce(rows, width, x, factor, y,
                    [](double v) { return std::fabs(v); });
    case Reduction::kSquareSum:
      return Reduce(rows, width, x, factor, y, [](double v) { return v * v; });
  }
}

template <typename Dtype>
void ReduceRowsBackward(Reduction reduction, int64_t rows, int64_t width,
                        const Dtype* x, Dtype factor, const Dtype* dy,
                        Dtype* dx) {
  const auto slope = [=](Dtype v) {
    if (reduction == Reduction::kSum) return Dtype(1);
    if (reduction == Reduction::kSquareSum) return 2 * v;
    return static_cast<Dtype>((v > 0) - (v < 0));
  };
  ParallelRanges(rows * width, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      dx[i] = factor * dy[i / width] * slope(x[i]);
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void ReduceRows(Reduction, int64_t, int64_t, const Dtype*, Dtype,  \
                           Dtype*);                                           \
  template void ReduceRowsBackward(Reduction, int64_t, int64_t, const Dtype*, \
                                   Dtype, const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
