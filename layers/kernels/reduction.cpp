#include "kernels/reduction.hpp"

#include "kernels/ranges.hpp"
#include "kernels/reduction_formulas.hpp"

namespace p3d {

template <typename Dtype>
void ReduceRows(Reduction reduction, int64_t rows, int64_t width,
                const Dtype* x, Dtype factor, Dtype* y) {
  WithReduction(reduction, [&](auto formula) {
    ParallelRanges(rows, RowsPerRange(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const Dtype* row = x + r * width;
        const double sum = SumRanges(width, [&](int64_t from, int64_t to) {
          double part = 0;
          for (int64_t i = from; i < to; ++i)
            part += formula.Term(static_cast<double>(row[i]));
          return part;
        });
        y[r] = static_cast<Dtype>(factor * sum);
      }
    });
  });
}

template <typename Dtype>
void ReduceRowsBackward(Reduction reduction, int64_t rows, int64_t width,
                        const Dtype* x, Dtype factor, const Dtype* dy,
                        Dtype* dx) {
  WithReduction(reduction, [&](auto formula) {
    ParallelRanges(rows * width, kRange, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        dx[i] = factor * dy[i / width] * formula.Slope(x[i]);
      }
    });
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
