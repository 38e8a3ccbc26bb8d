#include "kernels/bn.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// Sums of distances and of their squares.
struct Sums {
  double* first;
  double* second;
};

// Rows of `channels` values each.
template <typename Dtype>
void SumRows(int64_t rows, int64_t channels, const Dtype* origin,
             const Dtype* x, const Sums& sums) {
  std::fill(sums.first, sums.first + channels, 0.0);
  std::fill(sums.second, sums.second + channels, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const Dtype* row = x + r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const double d = static_cast<double>(row[c]) - origin[c];
      sums.first[c] += d;
      sums.second[c] += d * d;
    }
  }
}

// One channel of one image; independent lanes, so that a compiler that may not
// reorder sums can use vectors.
template <typename Dtype>
void SumPlane(int64_t pixels, Dtype origin, const Dtype* x, double* first,
              double* second) {
  constexpr int64_t kLanes = 8;
  double a[kLanes] = {}, b[kLanes] = {};
  int64_t p = 0;
  for (; p + kLanes <= pixels; p += kLanes) {
    for (int64_t i = 0; i < kLanes; ++i) {
      const double d = static_cast<double>(x[p + i]) - origin;
      a[i] += d;
      b[i] += d * d;
    }
  }
  for (int64_t i = 0; p + i < pixels; ++i) {
    const double d = static_cast<double>(x[p + i]) - origin;
    a[i] += d;
    b[i] += d * d;
  }
  *first = *second = 0;
  for (int64_t i = 0; i < kLanes; ++i) {
    *first += a[i];
    *second += b[i];
  }
}

// Adds up `parts` blocks of sums per channel, in their order.
template <typename Dtype>
void Finish(int64_t parts, int64_t channels, double m, const Dtype* origin,
            int64_t origin_step, const double* sums, double* mean,
            double* variance) {
  for (int64_t c = 0; c < channels; ++c) {
    double first = 0, second = 0;
    for (int64_t part = 0; part < parts; ++part) {
      first += sums[2 * part * channels + c];
      second += sums[(2 * part + 1) * channels + c];
    }
    mean[c] = origin[c * origin_step] + first / m;
    variance[c] = std::max(0.0, (second - first * first / m) / m);
  }
}

}  // namespace

template <typename Dtype>
void ChannelStatistics(const Geometry& g, Order order, const Dtype* x,
                       double* mean, double* variance) {
  const double m = static_cast<double>(g.num * g.pixels);
  if (order == Order::kCaffe) {
    const Scratch<double> sums(2 * g.num * g.channels);
    ParallelFor(g.num * g.channels, [&](int64_t plane) {
      const int64_t n = plane / g.channels, c = plane % g.channels;
      double* first = sums.data() + 2 * n * g.channels + c;
      SumPlane(g.pixels, x[c * g.pixels], x + plane * g.pixels, first,
               first + g.channels);
    });
    Finish(g.num, g.channels, m, x, g.pixels, sums.data(), mean, variance);
    return;
  }
  const int64_t rows = g.num * g.pixels;
  const int64_t step = RowsPerRange(g.channels);
  const int64_t parts = (rows + step - 1) / step;
  const Scratch<double> sums(2 * parts * g.channels);
  ParallelRanges(rows, step, [&](int64_t begin, int64_t end) {
    double* first = sums.data() + 2 * (begin / step) * g.channels;
    SumRows(end - begin, g.channels, x, x + begin * g.channels,
            {first, first + g.channels});
  });
  Finish(parts, g.channels, m, x, 1, sums.data(), mean, variance);
}

template <typename Dtype>
void NormalizeCoefficients(int64_t count, const double* mean,
                           const double* deviation, const Dtype* slope,
                           const Dtype* bias, Dtype* center, Dtype* scale,
                           Dtype* shift) {
  for (int64_t c = 0; c < count; ++c) {
    const double factor = (slope ? slope[c] : 1.0) / deviation[c];
    center[c] = static_cast<Dtype>(mean[c]);
    scale[c] = static_cast<Dtype>(factor);
    shift[c] = static_cast<Dtype>((bias ? bias[c] : 0.0) -
                                  (mean[c] - center[c]) * factor);
  }
}

template <typename Dtype>
void UpdateRunning(int64_t count, double momentum, double weight,
                   const double* batch, Dtype* running) {
  for (int64_t c = 0; c < count; ++c) {
    running[c] = static_cast<Dtype>(momentum * running[c] + weight * batch[c]);
  }
}

#define P3D_INSTANTIATE(Dtype)                                               \
  template void ChannelStatistics(const Geometry&, Order, const Dtype*,      \
                                  double*, double*);                         \
  template void NormalizeCoefficients(int64_t, const double*, const double*, \
                                      const Dtype*, const Dtype*, Dtype*,    \
                                      Dtype*, Dtype*);                       \
  template void UpdateRunning(int64_t, double, double, const double*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
