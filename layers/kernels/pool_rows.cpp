#include "kernels/pool_rows.hpp"

#include <algorithm>
#include <cfloat>

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

template <typename Dtype>
void MaxRow(const PoolRow& row, const PoolAxis& axis, const Dtype* x,
            Dtype* y) {
  const bool every = axis.kernel == 1 && axis.stride == 1 && axis.pad == 0;
  Dtype* best = every ? y : static_cast<Dtype*>(row.line);
  std::fill_n(best, axis.in, static_cast<Dtype>(-FLT_MAX));
  for (int64_t r = 0; r < row.count; ++r) {
    const Dtype* in = x + row.starts[r];
    for (int64_t p = 0; p < axis.in; ++p) {
      best[p] = in[p] > best[p] ? in[p] : best[p];
    }
  }
  if (every) return;
  ForEachColumns(axis, [=](int64_t o, int64_t begin, int64_t end) {
    Dtype value = static_cast<Dtype>(-FLT_MAX);
    for (int64_t p = begin; p < end; ++p) {
      value = best[p] > value ? best[p] : value;
    }
    y[o] = value;
  });
}

template <typename Dtype>
void MaxRowAndPlaces(const PoolRow& row, const PoolAxis& axis, const Dtype* x,
                     Dtype* y, Dtype* mask) {
  const bool every = axis.kernel == 1 && axis.stride == 1 && axis.pad == 0;
  Dtype* best = every ? y : static_cast<Dtype*>(row.line);
  Dtype* places = every ? mask : best + axis.in;
  std::fill_n(best, axis.in, static_cast<Dtype>(-FLT_MAX));
  std::fill_n(places, axis.in, Dtype(-1));
  for (int64_t r = 0; r < row.count; ++r) {
    const int64_t start = row.starts[r];
    const Dtype* in = x + start;
    for (int64_t p = 0; p < axis.in; ++p) {
      const bool larger = in[p] > best[p];
      best[p] = larger ? in[p] : best[p];
      places[p] = larger ? static_cast<Dtype>(start + p) : places[p];
    }
  }
  if (every) return;
  ForEachColumns(axis, [=](int64_t o, int64_t begin, int64_t end) {
    Dtype value = static_cast<Dtype>(-FLT_MAX), place = -1;
    for (int64_t p = begin; p < end; ++p) {
      // Of equal values the first in the order of all axes.
      const bool better =
          best[p] > value || (best[p] == value && places[p] < place);
      value = better ? best[p] : value;
      place = better ? places[p] : place;
    }
    y[o] = value;
    mask[o] = place;
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
    const bool empty = row.count == 0 || range.begin >= range.end;
    y[o] = static_cast<Dtype>(sum / (empty ? 1 : row.size * range.padded));
  }
}

}  // namespace

template <typename Dtype>
void MaxPoolRows(const PoolShape& shape, const Dtype* x, Dtype* y,
                 Dtype* mask) {
  const PoolAxis& axis = shape.axes.back();
  ForEachPoolRow(shape,
                 [&](const PoolRow& row, int64_t from, int64_t to, int64_t) {
                   if (mask) {
                     MaxRowAndPlaces(row, axis, x + from, y + to, mask + to);
                   } else {
                     MaxRow(row, axis, x + from, y + to);
                   }
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
