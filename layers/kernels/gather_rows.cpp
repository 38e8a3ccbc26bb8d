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

template <typename Dtype>
void GatherRowsBackward(const std::vector<int64_t>& index, int64_t rows,
                        int64_t width, const Dtype* dto, Dtype* dfrom) {
  // Columns are independent; rows that repeat are not.
  ParallelRanges(width, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rows; ++r) {
      std::fill(dfrom + r * width + begin, dfrom + r * width + end, Dtype(0));
    }
    for (size_t j = 0; j < index.size(); ++j) {
      const Dtype* from = dto + j * width;
      Dtype* to = dfrom + index[j] * width;
      for (int64_t i = begin; i < end; ++i) to[i] += from[i];
    }
  });
}

template <typename Dtype>
void TileRowsBackward(int64_t rows, int64_t tiles, int64_t width,
                      const Dtype* dto, Dtype* dfrom) {
  if (width == 0) return;
  ParallelRanges(rows, RowsPerRange(width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const Dtype* from = dto + r * tiles * width;
      Dtype* to = dfrom + r * width;
      std::copy(from, from + width, to);
      for (int64_t i = width; i < tiles * width; ++i) to[i % width] += from[i];
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void GatherRows(const std::vector<int64_t>&, int64_t, const Dtype*, \
                           Dtype*);                                            \
  template void TileRows(int64_t, int64_t, int64_t, const Dtype*, Dtype*);     \
  template void GatherRowsBackward(const std::vector<int64_t>&, int64_t,       \
                                   int64_t, const Dtype*, Dtype*);             \
  template void TileRowsBackward(int64_t, int64_t, int64_t, const Dtype*,      \
                                 Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
