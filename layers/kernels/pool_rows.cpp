#include "kernels/pool_rows.hpp"

#include <algorithm>
#include <cfloat>

#include "kernels/pool_windows.hpp"

// Caffe's Makefile builds with -O2, where gcc makes no vectors of these loops.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace p3d {
namespace {

// The loops below run over whole rows and choose between values that are
// computed anyway: that is what compilers turn into vector instructions.

// best = max(in, best); places = start where that is new.
template <typename Dtype>
void TakeRow(const Dtype* __restrict in, Dtype start, int64_t columns,
             Dtype* __restrict best, Dtype* __restrict places) {
  for (int64_t p = 0; p < columns; ++p) {
    places[p] = in[p] > best[p] ? start : places[p];
  }
  for (int64_t p = 0; p < columns; ++p) {
    best[p] = in[p] > best[p] ? in[p] : best[p];
  }
}
template <typename Dtype>
void TakeRow(const Dtype* __restrict in, int64_t columns,
             Dtype* __restrict best) {
  for (int64_t p = 0; p < columns; ++p) {
    best[p] = in[p] > best[p] ? in[p] : best[p];
  }
}

// best[p] = the largest value of column p and, where wanted, places[p] = its
// place or -1.
template <typename Dtype>
void MaxColumns(const PoolRow& row, int64_t columns, const Dtype* x,
                Dtype* best, Dtype* places) {
  std::fill_n(best, columns, static_cast<Dtype>(-FLT_MAX));
  if (!places) {
    for (int64_t r = 0; r < row.count; ++r) {
      TakeRow(x + row.starts[r], columns, best);
    }
    return;
  }
  std::fill_n(places, columns, Dtype(-1));
  for (int64_t r = 0; r < row.count; ++r) {
    const Dtype start = static_cast<Dtype>(row.starts[r]);
    TakeRow(x + row.starts[r], start, columns, best, places);
  }
  for (int64_t p = 0; p < columns; ++p) {
    const Dtype place = places[p] + static_cast<Dtype>(static_cast<int>(p));
    places[p] = places[p] < 0 ? places[p] : place;
  }
}

// Adds a neighbour of every column to the window that begins there. Of equal
// values the first in the order of all axes counts. Null places: not wanted.
template <typename Dtype>
void TakeNeighbour(const Dtype* __restrict other,
                   const Dtype* __restrict other_place, int64_t windows,
                   Dtype* __restrict best, Dtype* __restrict places) {
  if (places) {
    for (int64_t p = 0; p < windows; ++p) {
      const Dtype first =
          other_place[p] < places[p] ? other_place[p] : places[p];
      const Dtype of_equals = other[p] == best[p] ? first : places[p];
      places[p] = other[p] > best[p] ? other_place[p] : of_equals;
    }
  }
  TakeRow(other, windows, best);
}

template <typename Dtype>
void MaxRow(const PoolRow& row, const PoolAxis& axis, const Dtype* x, Dtype* y,
            Dtype* mask) {
  if (axis.kernel == 1 && axis.stride == 1 && axis.pad == 0) {
    return MaxColumns(row, axis.in, x, y, mask);
  }
  Dtype* best = static_cast<Dtype*>(row.line);
  Dtype* places = best + axis.in;
  Dtype* window_best = places + axis.in;
  Dtype* window_places = mask ? window_best + axis.in : nullptr;
  MaxColumns(row, axis.in, x, best, mask ? places : nullptr);
  const int64_t windows = std::max<int64_t>(0, axis.in - axis.kernel + 1);
  std::copy_n(best, windows, window_best);
  if (mask) std::copy_n(places, windows, window_places);
  for (int64_t j = 1; j < axis.kernel; ++j) {
    TakeNeighbour(best + j, places + j, windows, window_best, window_places);
  }
  for (int64_t o = 0; o < axis.out; ++o) {
    const int64_t start = o * axis.stride - axis.pad;
    if (start >= 0 && start < windows) {
      y[o] = window_best[start];
      if (mask) mask[o] = window_places[start];
      continue;
    }
    const PoolRange range(axis, o);
    y[o] = static_cast<Dtype>(-FLT_MAX);
    if (mask) mask[o] = -1;
    for (int64_t p = range.begin; p < range.end; ++p) {
      TakeNeighbour(best + p, places + p, 1, y + o, mask ? mask + o : nullptr);
    }
  }
}

template <typename Dtype>
void AverageRow(const PoolRow& row, const PoolAxis& axis, const Dtype* x,
                Dtype* y) {
  double* sums = static_cast<double*>(row.line);
  std::fill_n(sums, axis.in, 0.0);
  for (int64_t r = 0; r < row.count; ++r) {
    const Dtype* in = x + row.starts[r];
    for (int64_t p = 0; p < axis.in; ++p) sums[p] += in[p];
  }
  for (int64_t o = 0; o < axis.out; ++o) {
    const PoolRange range(axis, o);
    double sum = 0;
    for (int64_t p = range.begin; p < range.end; ++p) sum += sums[p];
    y[o] = static_cast<Dtype>(sum / AverageSize(row, range));
  }
}

}  // namespace

template <typename Dtype>
void MaxPoolRows(const PoolShape& shape, const Dtype* x, Dtype* y,
                 Dtype* mask) {
  const PoolAxis& axis = shape.axes.back();
  ForEachPoolRow(
      shape, [&](const PoolRow& row, int64_t from, int64_t to, int64_t) {
        MaxRow(row, axis, x + from, y + to, mask ? mask + to : nullptr);
      });
}

template <typename Dtype>
void AveragePoolRows(const PoolShape& shape, const Dtype* x, Dtype* y) {
  const PoolAxis& axis = shape.axes.back();
  ForEachPoolRow(shape,
                 [&](const PoolRow& row, int64_t from, int64_t to, int64_t) {
                   AverageRow(row, axis, x + from, y + to);
                 });
}

#define P3D_INSTANTIATE(Dtype)                                               \
  template void MaxPoolRows(const PoolShape&, const Dtype*, Dtype*, Dtype*); \
  template void AveragePoolRows(const PoolShape&, const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
