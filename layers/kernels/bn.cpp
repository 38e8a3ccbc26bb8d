#include "kernels/bn.hpp"

#include <algorithm>

#include "kernels/affine.hpp"
#include "kernels/channel_sums.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// Calls body(c)(i) for every value.
template <typename Body>
void ForEachValue(const Geometry& g, Order order, const Body& body) {
  const bool planes = order == Order::kCaffe;
  const int64_t width = planes ? g.pixels : g.channels;
  if (width == 0) return;
  ParallelRanges(g.count() / width, RowsPerRange(width),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t start = row * width;
                     if (planes) {
                       const auto at = body(row % g.channels);
                       for (int64_t i = start; i < start + width; ++i) at(i);
                     } else {
                       for (int64_t c = 0; c < width; ++c) body(c)(start + c);
                     }
                   }
                 });
}

// dx = (dy - average) gain + (x - center) tilt + shift, per channel: what
// cancels is subtracted before it is multiplied.
template <typename Dtype>
struct BackwardCoefficients {
  explicit BackwardCoefficients(int64_t channels)
      : memory(5 * channels),
        center(memory.data()),
        average(center + channels),
        gain(average + channels),
        tilt(gain + channels),
        shift(tilt + channels) {}
  Scratch<Dtype> memory;
  Dtype *center, *average, *gain, *tilt, *shift;
};

}  // namespace

template <typename Dtype>
void ChannelStatistics(const Geometry& g, Order order, const Dtype* x,
                       double* mean, double* variance) {
  const double m = static_cast<double>(g.num * g.pixels);
  const int64_t step = order == Order::kCaffe ? g.pixels : 1;
  SumChannels(
      Broadcast::Channels(g, order),
      [=](int64_t c) {
        const double origin = x[c * step];
        return [=](int64_t i) {
          const double d = x[i] - origin;
          return Pair{d, d * d};
        };
      },
      mean, variance);
  for (int64_t c = 0; c < g.channels; ++c) {
    const double first = mean[c], second = variance[c];
    mean[c] = x[c * step] + first / m;
    variance[c] = std::max(0.0, (second - first * first / m) / m);
  }
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
void Normalize(const Geometry& g, Order order, const double* mean,
               const double* deviation, const Dtype* slope, const Dtype* bias,
               const Dtype* x, Dtype* y) {
  const Scratch<Dtype> coefficients(3 * g.channels);
  Dtype* center = coefficients.data();
  Dtype* scale = center + g.channels;
  Dtype* shift = scale + g.channels;
  NormalizeCoefficients(g.channels, mean, deviation, slope, bias, center, scale,
                        shift);
  ScaleShift(Broadcast::Channels(g, order), center, scale, shift, x, y);
}

template <typename Dtype>
void NormalizeBackward(const Geometry& g, Order order, const double* mean,
                       const double* deviation, const Dtype* slope,
                       const Dtype* x, const Dtype* dy, Dtype* dslope,
                       Dtype* dbias, Dtype* dx) {
  const Scratch<double> sums(2 * g.channels);
  double* sum = sums.data();
  double* moment = sum + g.channels;  // of dy (x - mean)
  SumChannels(
      Broadcast::Channels(g, order),
      [=](int64_t c) {
        const double center = mean[c];
        return [=](int64_t i) {
          const double d = dy[i];
          return Pair{d, d * (x[i] - center)};
        };
      },
      sum, moment);
  const BackwardCoefficients<Dtype> by(g.channels);
  const double m = static_cast<double>(g.num * g.pixels);
  for (int64_t c = 0; c < g.channels; ++c) {
    if (dslope) dslope[c] += static_cast<Dtype>(moment[c] / deviation[c]);
    if (dbias) dbias[c] += static_cast<Dtype>(sum[c]);
    const double gain = (slope ? slope[c] : 1.0) / deviation[c];
    const double tilt = -gain * moment[c] / (m * deviation[c] * deviation[c]);
    by.center[c] = static_cast<Dtype>(mean[c]);
    by.gain[c] = static_cast<Dtype>(gain);
    by.tilt[c] = static_cast<Dtype>(tilt);
    by.average[c] = static_cast<Dtype>(sum[c] / m);
    by.shift[c] = static_cast<Dtype>(-gain * (sum[c] / m - by.average[c]) -
                                     tilt * (mean[c] - by.center[c]));
  }
  if (!dx) return;
  ForEachValue(g, order, [&](int64_t c) {
    const Dtype center = by.center[c], average = by.average[c],
                gain = by.gain[c], tilt = by.tilt[c], shift = by.shift[c];
    return [=](int64_t i) {
      dx[i] = (dy[i] - average) * gain + ((x[i] - center) * tilt + shift);
    };
  });
}

template <typename Dtype>
void NormalizeBackwardFrozen(const Geometry& g, Order order,
                             const double* deviation, const Dtype* slope,
                             const Dtype* dy, Dtype* dx) {
  const Scratch<Dtype> scale(g.channels);
  for (int64_t c = 0; c < g.channels; ++c) {
    scale.data()[c] =
        static_cast<Dtype>((slope ? slope[c] : 1.0) / deviation[c]);
  }
  ScaleShift<Dtype>(Broadcast::Channels(g, order), nullptr, scale.data(),
                    nullptr, dy, dx);
}

template <typename Dtype>
void UpdateRunning(int64_t count, double momentum, double weight,
                   const double* batch, Dtype* running) {
  for (int64_t c = 0; c < count; ++c) {
    running[c] = static_cast<Dtype>(momentum * running[c] + weight * batch[c]);
  }
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void ChannelStatistics(const Geometry&, Order, const Dtype*,        \
                                  double*, double*);                           \
  template void NormalizeCoefficients(int64_t, const double*, const double*,   \
                                      const Dtype*, const Dtype*, Dtype*,      \
                                      Dtype*, Dtype*);                         \
  template void Normalize(const Geometry&, Order, const double*,               \
                          const double*, const Dtype*, const Dtype*,           \
                          const Dtype*, Dtype*);                               \
  template void NormalizeBackward(const Geometry&, Order, const double*,       \
                                  const double*, const Dtype*, const Dtype*,   \
                                  const Dtype*, Dtype*, Dtype*, Dtype*);       \
  template void NormalizeBackwardFrozen(const Geometry&, Order, const double*, \
                                        const Dtype*, const Dtype*, Dtype*);   \
  template void UpdateRunning(int64_t, double, double, const double*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
