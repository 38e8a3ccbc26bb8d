#include "kernels/gather_rows.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// source(r) is the row of `from` that row r of `to` copies.
template <typename Dtype, typename Source>
void CopyFrom(int64_t rows, int64_t width, const Source& source,
              const Dtype* from, Dtype* to) {
  if (width == 0) return;
  ParallelRanges(rows, RowsPerRange(width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const Dtype* row = from + source(r) * width;
      std::copy(row, row + width, to + r * width);
    }
  });
}

}  // namespace

template <typename Dtype>
void GatherRows(const std::vector<int64_t>& index, int64_t width,
                const Dtype* from, Dtype* to) {
  CopyFrom(
      static_cast<int64_t>(index.size()), width,
      [&](int64_t r) { return index[r]; }, from, to);
}

template <typename Dtype>
void TileRows(int64_t rows, int64_t tiles, int64_t width, const Dtype* from,
              Dtype* to) {
  CopyFrom(rows * tiles, width, [=](int64_t r) { return r / tiles; }, from, to);
}

template void GatherRows(const std::vector<int64_t>&, int64_t, const float*,
                         float*);
template void GatherRows(const std::vector<int64_t>&, int64_t, const double*,
                         double*);
template void TileRows(int64_t, int64_t, int64_t, const float*, float*);
template void TileRows(int64_t, int64_t, int64_t, const double*, double*);

}  // namespace p3d
