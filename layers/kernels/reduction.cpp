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

template void ReduceRows(Reduction, int64_t, int64_t, const float*, float,
                         float*);
template void ReduceRows(Reduction, int64_t, int64_t, const double*, double,
                         double*);

}  // namespace p3d
