#include "kernels/pool.hpp"

#include <algorithm>

#include "kernels/error.hpp"
#include "kernels/pool_lanes.hpp"
#include "kernels/pool_rows.hpp"
#include "kernels/pool_windows.hpp"
#include "kernels/random.hpp"

namespace p3d {
namespace {

int64_t RoundedQuotient(int64_t a, int64_t b, PoolRounding rounding) {
  const int64_t quotient = a / b;  // towards zero
  if (a % b == 0) return quotient;
  if (rounding == PoolRounding::kCeil) return quotient + (a > 0);
  return quotient - (a < 0);
}

// The sums of kLanes channels, divided by the window's size.
template <int kLanes, typename Dtype>
void AverageLanes(const PoolRow& row, const PoolRange& range, int64_t step,
                  const Dtype* x, Dtype* y) {
  double sum[kLanes] = {};
  ForEachPixel(row, range, [&](int64_t pixel) {
    const Dtype* in = x + pixel * step;
    for (int i = 0; i < kLanes; ++i) sum[i] += in[i];
  });
  const double size = AverageSize(row, range);
  for (int i = 0; i < kLanes; ++i) y[i] = static_cast<Dtype>(sum[i] / size);
}

// The pixel where the running sum of one channel reaches `share` of its sum.
template <typename Dtype>
int64_t Draw(const PoolRow& row, const PoolRange& range, int64_t channels,
             double share, const Dtype* x) {
  double sum = 0;
  ForEachPixel(row, range, [&](int64_t pixel) { sum += x[pixel * channels]; });
  const double threshold = share * sum;
  int64_t drawn = -1, any = -1;
  sum = 0;
  ForEachPixel(row, range, [&](int64_t pixel) {
    sum += x[pixel * channels];
    if (drawn < 0 && sum >= threshold) drawn = pixel;
    any = pixel;
  });
  return drawn < 0 ? any : drawn;
}

void CheckAxis(const PoolAxis& axis, bool padded) {
  Check(axis.in >= 1, "cannot pool a blob without values");
  Check(axis.kernel >= 1 && axis.stride >= 1,
        "a pooling window's size and stride have to be at least 1, not ",
        axis.kernel, " and ", axis.stride);
  Check(axis.pad >= 0 && (!padded || axis.pad < axis.kernel), "the pad ",
        axis.pad, " has to be smaller than the kernel ", axis.kernel);
}

}  // namespace

int64_t PoolShape::in_pixels() const {
  int64_t count = 1;
  for (const PoolAxis& axis : axes) count *= axis.in;
  return count;
}

int64_t PoolShape::out_pixels() const {
  int64_t count = 1;
  for (const PoolAxis& axis : axes) count *= axis.out;
  return count;
}

void SetPoolOutputs(PoolRounding rounding, PoolShape* shape) {
  bool padded = false;
  for (const PoolAxis& axis : shape->axes) padded = padded || axis.pad != 0;
  for (PoolAxis& axis : shape->axes) {
    CheckAxis(axis, padded);
    const int64_t slack = axis.in + 2 * axis.pad - axis.kernel;
    axis.out = RoundedQuotient(slack, axis.stride, rounding) + 1;
    if (padded && (axis.out - 1) * axis.stride >= axis.in + axis.pad) {
      --axis.out;
    }
    Check(axis.out >= 1, "a kernel of ", axis.kernel, " with stride ",
          axis.stride, " and pad ", axis.pad, " does not fit into ", axis.in,
          " elements");
  }
}

template <typename Dtype>
void MaxPool(const PoolShape& any, Order order, const Dtype* x, Dtype* y,
             Dtype* mask) {
  const PoolShape shape = WithChannelsLast(any, order);
  const int64_t step = shape.channels;
  if (step == 1) return MaxPoolRows(shape, x, y, mask);
  constexpr int kLanes = 128 / sizeof(Dtype);
  ForEachWindow(shape, [&](const PoolRow& row, const PoolRange& range,
                           int64_t from, int64_t to, int64_t count) {
    const Dtype* in = x + from;
    Dtype* out = y + to;
    int64_t c = 0;
    if (!mask) {
      for (; c + kLanes <= count; c += kLanes) {
        MaxLanes<kLanes>(row, range, step, in + c, out + c);
      }
      for (; c < count; ++c) MaxLanes<1>(row, range, step, in + c, out + c);
      return;
    }
    Dtype* place = mask + to;
    for (; c + kLanes <= count; c += kLanes) {
      MaxAndPlaceLanes<kLanes>(row, range, step, in + c, out + c, place + c);
    }
    for (; c < count; ++c) {
      MaxAndPlaceLanes<1>(row, range, step, in + c, out + c, place + c);
    }
  });
}

template <typename Dtype>
void AveragePool(const PoolShape& any, Order order, const Dtype* x, Dtype* y) {
  const PoolShape shape = WithChannelsLast(any, order);
  const int64_t step = shape.channels;
  if (step == 1) return AveragePoolRows(shape, x, y);
  constexpr int kLanes = 16;
  ForEachWindow(shape, [&](const PoolRow& row, const PoolRange& range,
                           int64_t from, int64_t to, int64_t count) {
    const Dtype* in = x + from;
    Dtype* out = y + to;
    int64_t c = 0;
    for (; c + kLanes <= count; c += kLanes) {
      AverageLanes<kLanes>(row, range, step, in + c, out + c);
    }
    for (; c < count; ++c) AverageLanes<1>(row, range, step, in + c, out + c);
  });
}

template <typename Dtype>
void StochasticPool(const PoolShape& any, Order order, uint64_t seed,
                    const Dtype* x, Dtype* y, Dtype* mask) {
  const PoolShape shape = WithChannelsLast(any, order);
  const int64_t step = shape.channels;
  ForEachWindow(shape, [&](const PoolRow& row, const PoolRange& range,
                           int64_t from, int64_t to, int64_t count) {
    for (int64_t c = 0; c < count; ++c) {
      Random random(PartSeed(seed, to + c));
      const Dtype* in = x + from + c;
      const int64_t pixel = Draw(row, range, step, random.Uniform(), in);
      y[to + c] = pixel < 0 ? Dtype(0) : in[pixel * step];
      if (mask) mask[to + c] = static_cast<Dtype>(pixel);
    }
  });
}

template <typename Dtype>
void StochasticPoolMean(const PoolShape& any, Order order, const Dtype* x,
                        Dtype* y) {
  const PoolShape shape = WithChannelsLast(any, order);
  const int64_t step = shape.channels;
  ForEachWindow(shape, [&](const PoolRow& row, const PoolRange& range,
                           int64_t from, int64_t to, int64_t count) {
    for (int64_t c = 0; c < count; ++c) {
      double sum = 0, squares = 0;
      ForEachPixel(row, range, [&](int64_t pixel) {
        const double value = x[from + pixel * step + c];
        sum += value;
        squares += value * value;
      });
      y[to + c] = static_cast<Dtype>(sum > 0 ? squares / sum : 0);
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template void MaxPool(const PoolShape&, Order, const Dtype*, Dtype*,      \
                        Dtype*);                                            \
  template void AveragePool(const PoolShape&, Order, const Dtype*, Dtype*); \
  template void StochasticPool(const PoolShape&, Order, uint64_t,           \
                               const Dtype*, Dtype*, Dtype*);               \
  template void StochasticPoolMean(const PoolShape&, Order, const Dtype*,   \
                                   Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
