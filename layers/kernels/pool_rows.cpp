#include "kernels/pool_rows.hpp"

#include <algorithm>
#include <cfloat>
#include <limits>

#include "kernels/pool_lanes.hpp"
#include "kernels/pool_windows.hpp"

namespace p3d {
namespace {

// body(o, begin, end) for the columns of every window of a row.
template <typename Body>
void ForEachColumns(const PoolAxis& axis, const Body& body) {
  for (int64_t o = 0; o < axis.out; ++o) {
    const int64_t start = o * axis.stride - axis.pad;
    if (start >= 0 && start + axis.kernel <= axis.in) {
      body(o, start, start + axis.kernel);
    } else {
      const PoolRange range(axis, o);
      body(o, range.begin, range.end);
    }
  }
}

// best[p] = the largest value of column p and, where wanted, places[p] = its
// place or -1, for columns from p on, kLanes at a time. Returns the first
// column that is left.
template <int kLanes, typename Dtype>
int64_t MaxColumns(const PoolRow& row, int64_t p, int64_t columns,
                   const Dtype* x, Dtype* best, Dtype* places) {
  for (; p + kLanes <= columns; p += kLanes) {
    if (!places) {
      MaxLanes<kLanes>(row, PoolRange(p), 1, x, best + p);
      continue;
    }
    Dtype* place = places + p;
    MaxAndPlaceLanes<kLanes>(row, PoolRange(p), 1, x, best + p, place);
    for (int i = 0; i < kLanes; ++i) {
      const Dtype here = place[i] + static_cast<Dtype>(i);
      place[i] = place[i] < 0 ? Dtype(-1) : here;
    }
  }
  return p;
}

template <typename Dtype>
void MaxRow(const PoolRow& row, const PoolAxis& axis, const Dtype* x, Dtype* y,
            Dtype* mask) {
  constexpr int kLanes = 64 / sizeof(Dtype);
  const bool only_columns =
      axis.kernel == 1 && axis.stride == 1 && axis.pad == 0;
  Dtype* best = only_columns ? y : static_cast<Dtype*>(row.line);
  Dtype* places = only_columns ? mask : best + axis.in;
  if (!mask) places = nullptr;
  int64_t p = MaxColumns<kLanes>(row, 0, axis.in, x, best, places);
  MaxColumns<1>(row, p, axis.in, x, best, places);
  if (only_columns) return;
  ForEachColumns(axis, [=](int64_t o, int64_t begin, int64_t end) {
    Dtype value = static_cast<Dtype>(-FLT_MAX);
    for (int64_t i = begin; i < end; ++i) {
      value = best[i] > value ? best[i] : value;
    }
    y[o] = value;
    if (!mask) return;
    // Of equal values the first in the order of all axes.
    const Dtype none = std::numeric_limits<Dtype>::max();
    Dtype place = none;
    for (int64_t i = begin; i < end; ++i) {
      const Dtype candidate = best[i] == value ? places[i] : none;
      place = candidate < place ? candidate : place;
    }
    mask[o] = begin < end ? place : Dtype(-1);
  });
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
