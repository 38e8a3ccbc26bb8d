#include "kernels/bn_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>
#include <cmath>

#include "kernels/affine.hpp"
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

// Each channel is summed in parts, so that nets with few channels fill a GPU;
// how many depends on the shape alone, lest results depend on the GPU.
int64_t Parts(const Geometry& g) {
  constexpr int64_t kRows = 2048;        // in all, to aim at
  constexpr int64_t kPartValues = 4096;  // at least
  const int64_t fill = std::max<int64_t>(1, kRows / g.channels);
  return std::min(fill, std::max<int64_t>(1, g.num * g.pixels / kPartValues));
}

Broadcast Channels(const Geometry& g) {
  return Broadcast::Channels(g, Order::kCaffe);
}

// Row c * parts + part: the sum of term(c, i) over that part of channel c.
template <typename Term>
struct PartSums {
  Geometry geometry;
  int64_t parts;
  Term term;
  Pair* sums;

  P3D_HOST_DEVICE Pair Sum(int64_t row, int64_t lane) const {
    const int64_t pixels = geometry.pixels;
    const int64_t c = Quotient(row, parts), part = row - c * parts;
    const int64_t m = geometry.num * pixels;
    const int64_t end = Quotient(m * (part + 1), parts);
    const int64_t step_n = Quotient(kThreads, pixels);
    const int64_t step_p = kThreads - step_n * pixels;
    int64_t at = Quotient(m * part, parts) + lane;
    int64_t n = Quotient(at, pixels), p = at - n * pixels;
    Pair sum = {0, 0};
    for (; at < end; at += kThreads) {
      sum += term(c, (n * geometry.channels + c) * pixels + p);
      n += step_n;
      p += step_p;
      if (p >= pixels) {
        p -= pixels;
        ++n;
      }
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, const Pair& sum) const {
    sums[row] = sum;
  }
};

// The sums of a channel's parts.
P3D_HOST_DEVICE inline Pair Total(const Pair* sums, int64_t parts, int64_t c) {
  Pair total = {0, 0};
  for (int64_t part = 0; part < parts; ++part) total += sums[c * parts + part];
  return total;
}

template <typename Term>
void SumChannels(CUstream_st* stream, const char* kernel, const Geometry& g,
                 const Term& term, Pair* sums) {
  const int64_t parts = Parts(g);
  SumRows(stream, kernel, g.channels * parts,
          PartSums<Term>{g, parts, term, sums});
}

// Distances from the channel's first value and their squares.
template <typename Dtype>
struct DistanceTerm {
  const Dtype* x;
  int64_t pixels;
  P3D_HOST_DEVICE Pair operator()(int64_t c, int64_t i) const {
    const double d = static_cast<double>(x[i]) - x[c * pixels];
    return {d, d * d};
  }
};

template <typename Dtype>
struct FinishStatistics {
  const Dtype* x;
  int64_t pixels, parts;
  double m;
  const Pair* sums;
  double *mean, *variance;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    const Pair sum = Total(sums, parts, c);
    const double v = (sum.second - sum.first * sum.first / m) / m;
    mean[c] = x[c * pixels] + sum.first / m;
    variance[c] = v > 0 ? v : 0;
  }
};

// What the loop over all values multiplies and adds, per channel; see
// NormalizeCoefficients for what becomes of the mean's lost digits.
template <typename Dtype>
struct Coefficients {
  Coefficients(double* memory, int64_t channels)
      : center(reinterpret_cast<Dtype*>(memory)),
        scale(center + channels),
        shift(scale + channels),
        tilt(shift + channels),
        average(tilt + channels) {}
  Dtype *center, *scale, *shift, *tilt, *average;
};
constexpr int64_t kCoefficients = 5;

template <typename Dtype>
struct SetCoefficients {
  const double *mean, *deviation;
  const Dtype *slope, *bias;
  Coefficients<Dtype> by;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    const double factor = (slope ? slope[c] : 1.0) / deviation[c];
    const Dtype center = static_cast<Dtype>(mean[c]);
    by.center[c] = center;
    by.scale[c] = static_cast<Dtype>(factor);
    by.shift[c] = static_cast<Dtype>((bias ? bias[c] : 0.0) -
                                     (mean[c] - center) * factor);
  }
};

template <typename Dtype>
struct NormalizeKernel {
  Coefficients<Dtype> by;
  const Dtype* x;
  Dtype* y;
  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    y[i] = (x[i] - by.center[c]) * by.scale[c] + by.shift[c];
  }
};

// dy and dy (x - mean).
template <typename Dtype>
struct GradientTerm {
  const double* mean;
  const Dtype *x, *dy;
  P3D_HOST_DEVICE Pair operator()(int64_t c, int64_t i) const {
    const double d = dy[i];
    return {d, d * (x[i] - mean[c])};
  }
};

template <typename Dtype>
struct FinishGradient {
  const double *mean, *deviation;
  const Dtype* slope;
  int64_t parts;
  double m;
  const Pair* sums;
  Dtype *dslope, *dbias;
  Coefficients<Dtype> by;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    const Pair sum = Total(sums, parts, c);
    if (dslope) dslope[c] += static_cast<Dtype>(sum.second / deviation[c]);
    if (dbias) dbias[c] += static_cast<Dtype>(sum.first);
    const double gain = (slope ? slope[c] : 1.0) / deviation[c];
    const double tilt = -gain * sum.second / (m * deviation[c] * deviation[c]);
    const Dtype center = static_cast<Dtype>(mean[c]);
    const Dtype average = static_cast<Dtype>(sum.first / m);
    by.center[c] = center;
    by.average[c] = average;
    by.scale[c] = static_cast<Dtype>(gain);
    by.tilt[c] = static_cast<Dtype>(tilt);
    by.shift[c] = static_cast<Dtype>(-gain * (sum.first / m - average) -
                                     tilt * (mean[c] - center));
  }
};

template <typename Dtype>
struct BackwardKernel {
  Coefficients<Dtype> by;
  const Dtype *x, *dy;
  Dtype* dx;
  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    dx[i] = (dy[i] - by.average[c]) * by.scale[c] +
            ((x[i] - by.center[c]) * by.tilt[c] + by.shift[c]);
  }
};

template <typename Dtype>
struct SetGain {
  const double* deviation;
  const Dtype* slope;
  Dtype* gain;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    gain[c] = static_cast<Dtype>((slope ? slope[c] : 1.0) / deviation[c]);
  }
};

template <typename Dtype>
struct FrozenBackwardKernel {
  const Dtype *gain, *dy;
  Dtype* dx;
  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    dx[i] = gain[c] * dy[i];
  }
};

template <typename Dtype>
struct UpdateRunningKernel {
  double momentum, weight;
  const double* batch;
  Dtype* running;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    running[c] = static_cast<Dtype>(momentum * running[c] + weight * batch[c]);
  }
};

template <typename Dtype>
struct MomentsKernel {
  double eps;
  const Dtype *mean, *variance;
  double *center, *deviation;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    center[c] = mean[c];
    deviation[c] = sqrt(variance[c] + eps);
  }
};

}  // namespace

int64_t BnScratchSize(const Geometry& g) {
  return (2 * Parts(g) + kCoefficients) * g.channels;
}

template <typename Dtype>
void ChannelStatistics(CUstream_st* stream, const Geometry& g, const Dtype* x,
                       double* scratch, double* mean, double* variance) {
  Pair* sums = reinterpret_cast<Pair*>(scratch);
  const double m = static_cast<double>(g.num * g.pixels);
  SumChannels(stream, "ChannelStatistics", g, DistanceTerm<Dtype>{x, g.pixels},
              sums);
  ForEach(
      stream, "FinishStatistics", g.channels,
      FinishStatistics<Dtype>{x, g.pixels, Parts(g), m, sums, mean, variance});
}

template <typename Dtype>
void Normalize(CUstream_st* stream, const Geometry& g, const double* mean,
               const double* deviation, const Dtype* slope, const Dtype* bias,
               const Dtype* x, double* scratch, Dtype* y) {
  const Coefficients<Dtype> by(scratch, g.channels);
  ForEach(stream, "NormalizeCoefficients", g.channels,
          SetCoefficients<Dtype>{mean, deviation, slope, bias, by});
  ForEachValue(stream, "Normalize", Channels(g),
               NormalizeKernel<Dtype>{by, x, y});
}

template <typename Dtype>
void NormalizeBackward(CUstream_st* stream, const Geometry& g,
                       const double* mean, const double* deviation,
                       const Dtype* slope, const Dtype* x, const Dtype* dy,
                       double* scratch, Dtype* dslope, Dtype* dbias,
                       Dtype* dx) {
  const Coefficients<Dtype> by(scratch, g.channels);
  Pair* sums = reinterpret_cast<Pair*>(scratch + kCoefficients * g.channels);
  const double m = static_cast<double>(g.num * g.pixels);
  SumChannels(stream, "NormalizeBackward sums", g,
              GradientTerm<Dtype>{mean, x, dy}, sums);
  ForEach(stream, "FinishGradient", g.channels,
          FinishGradient<Dtype>{mean, deviation, slope, Parts(g), m, sums,
                                dslope, dbias, by});
  if (!dx) return;
  ForEachValue(stream, "NormalizeBackward", Channels(g),
               BackwardKernel<Dtype>{by, x, dy, dx});
}

template <typename Dtype>
void NormalizeBackwardFrozen(CUstream_st* stream, const Geometry& g,
                             const double* deviation, const Dtype* slope,
                             const Dtype* dy, double* scratch, Dtype* dx) {
  Dtype* gain = reinterpret_cast<Dtype*>(scratch);
  ForEach(stream, "NormalizeBackwardFrozen gain", g.channels,
          SetGain<Dtype>{deviation, slope, gain});
  ForEachValue(stream, "NormalizeBackwardFrozen", Channels(g),
               FrozenBackwardKernel<Dtype>{gain, dy, dx});
}

template <typename Dtype>
void UpdateRunning(CUstream_st* stream, int64_t count, double momentum,
                   double weight, const double* batch, Dtype* running) {
  ForEach(stream, "UpdateRunning", count,
          UpdateRunningKernel<Dtype>{momentum, weight, batch, running});
}

template <typename Dtype>
void Moments(CUstream_st* stream, int64_t count, double eps, const Dtype* mean,
             const Dtype* variance, double* center, double* deviation) {
  ForEach(stream, "Moments", count,
          MomentsKernel<Dtype>{eps, mean, variance, center, deviation});
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void ChannelStatistics(CUstream_st*, const Geometry&, const Dtype*, \
                                  double*, double*, double*);                  \
  template void Normalize(CUstream_st*, const Geometry&, const double*,        \
                          const double*, const Dtype*, const Dtype*,           \
                          const Dtype*, double*, Dtype*);                      \
  template void NormalizeBackward(CUstream_st*, const Geometry&,               \
                                  const double*, const double*, const Dtype*,  \
                                  const Dtype*, const Dtype*, double*, Dtype*, \
                                  Dtype*, Dtype*);                             \
  template void NormalizeBackwardFrozen(CUstream_st*, const Geometry&,         \
                                        const double*, const Dtype*,           \
                                        const Dtype*, double*, Dtype*);        \
  template void UpdateRunning(CUstream_st*, int64_t, double, double,           \
                              const double*, Dtype*);                          \
  template void Moments(CUstream_st*, int64_t, double, const Dtype*,           \
                        const Dtype*, double*, double*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
