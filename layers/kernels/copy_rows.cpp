#include "kernels/copy_rows.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"

namespace p3d {

template <typename Dtype>
void CopyRows(int64_t rows, int64_t width, Rows<const Dtype> from,
              Rows<Dtype> to) {
  if (width == 0) return;
  const int64_t step = RowsPerRange(width);
  const int64_t pieces = (width + kRange - 1) / kRange;
  ParallelFor((rows + step - 1) / step * pieces, [&](int64_t task) {
    const int64_t begin = task % pieces * kRange;
    const int64_t end = std::min(width, begin + kRange);
    const int64_t first = task / pieces * step;
    for (int64_t r = first; r < std::min(rows, first + step); ++r) {
      const Dtype* row = from.data + r * from.stride;
      std::copy(row + begin, row + end, to.data + r * to.stride + begin);
    }
  });
}

template void CopyRows(int64_t, int64_t, Rows<const float>, Rows<float>);
template void CopyRows(int64_t, int64_t, Rows<const double>, Rows<double>);

}  // namespace p3d
