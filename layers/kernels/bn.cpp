#include "kernels/bn.hpp"

#include <algorithm>

#include "kernels/affine.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

struct Pair {
  double first = 0;
  double second = 0;
  void operator+=(const Pair& other) {
    first += other.first;
    second += other.second;
  }
};

// The functions below walk over a blob with an `at` per channel: at(c) gives
// that channel's coefficients bound to a function of i, the place of a value.

// The sum of at(i) over a plane; independent lanes, so that a compiler that may
// not reorder sums can use vectors.
template <typename At>
Pair SumPlane(int64_t begin, int64_t end, const At& at) {
  constexpr int64_t kLanes = 8;
  double first[kLanes] = {}, second[kLanes] = {};
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const Pair value = at(i + lane);
      first[lane] += value.first;
      second[lane] += value.second;
    }
  }
  Pair sum;
  for (; i < end; ++i) sum += at(i);
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    sum += {first[lane], second[lane]};
  }
  return sum;
}

// sums[c] of rows [begin, end) of one value per channel, the seconds behind the
// firsts.
template <typename Term>
void SumRows(int64_t begin, int64_t end, int64_t channels, const Term& term,
             double* sums) {
  std::fill(sums, sums + 2 * channels, 0.0);
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const Pair value = term(c)(row * channels + c);
      sums[c] += value.first;
      sums[channels + c] += value.second;
    }
  }
}

// first[c] and second[c] = the sums over all n and p of the pairs term(c)(i),
// added up in an order that does not depend on the number of threads.
template <typename Term>
void SumChannels(const Geometry& g, Order order, const Term& term,
                 double* first, double* second) {
  const bool planes = order == Order::kCaffe;
  const int64_t rows = g.num * g.pixels;
  const int64_t step = RowsPerRange(planes ? g.pixels : g.channels);
  const int64_t parts = planes ? g.num : (rows + step - 1) / step;
  const Scratch<double> scratch(2 * parts * g.channels);
  double* sums = scratch.data();
  if (planes) {
    ParallelRanges(g.num * g.channels, step, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const int64_t n = plane / g.channels, c = plane % g.channels;
        const Pair sum =
            SumPlane(plane * g.pixels, (plane + 1) * g.pixels, term(c));
        sums[2 * n * g.channels + c] = sum.first;
        sums[(2 * n + 1) * g.channels + c] = sum.second;
      }
    });
  } else {
    ParallelRanges(rows, step, [&](int64_t begin, int64_t end) {
      SumRows(begin, end, g.channels, term,
              sums + 2 * (begin / step) * g.channels);
    });
  }
  for (int64_t c = 0; c < g.channels; ++c) {
    Pair sum;
    for (int64_t part = 0; part < parts; ++part) {
      sum += {sums[2 * part * g.channels + c],
              sums[(2 * part + 1) * g.channels + c]};
    }
    first[c] = sum.first;
    second[c] = sum.second;
  }
}

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
      g, order,
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
      g, order,
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
