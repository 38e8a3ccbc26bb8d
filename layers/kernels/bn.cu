#include "kernels/bn_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/affine.hpp"
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/coefficients_cuda.hpp"
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// Distances from the channel's first value and their squares.
template <typename Value>
struct DistanceTerm {
  const Value* x;
  int64_t inner;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto origins = runs.Each(x + runs.d * (inner - 1));  // x[d * inner]
    const auto f = [&](int k, double v) {
      const double d = v - origins[k];
      return Pair{d, d * d};
    };
    return runs.Sum(f, x);
  }
};

template <typename Value>
struct FinishStatistics {
  const Value* x;
  int64_t inner;
  double m;
  double *mean, *variance;
  P3D_HOST_DEVICE void operator()(int64_t c, const Pair& sum) const {
    const double v = (sum.second - sum.first * sum.first / m) / m;
    mean[c] = x[c * inner] + sum.first / m;
    variance[c] = v > 0 ? v : 0;
  }
};

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

template <typename Value>
struct NormalizeKernel {
  Coefficients<RealOf<Value>> by;
  const Value* x;
  Value* y;
  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto center = runs.Each(by.center), scale = runs.Each(by.scale),
               shift = runs.Each(by.shift);
    const auto f = [&](int k, RealOf<Value> v) {
      return (v - center[k]) * scale[k] + shift[k];
    };
    runs.Map(y, f, x);
  }
};

// dy and dy (x - mean).
template <typename Value>
struct GradientTerm {
  const double* mean;
  const Value *x, *dy;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto means = runs.Each(mean);
    const auto f = [&](int k, double d, double v) {
      return Pair{d, d * (v - means[k])};
    };
    return runs.Sum(f, dy, x);
  }
};

// From a channel's sums over m values.
template <typename Dtype>
struct SetGradient {
  const double *mean, *deviation;
  const Dtype* slope;
  Coefficients<Dtype> by;
  P3D_HOST_DEVICE void operator()(int64_t c, const Pair& sum, double m) const {
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
struct AddParamGradients {
  const double* deviation;
  Dtype *dslope, *dbias;
  P3D_HOST_DEVICE void operator()(int64_t c, const Pair& sum) const {
    if (dslope) dslope[c] += static_cast<Dtype>(sum.second / deviation[c]);
    if (dbias) dbias[c] += static_cast<Dtype>(sum.first);
  }
};

template <typename Dtype>
struct FinishGradient {
  AddParamGradients<Dtype> add;
  SetGradient<Dtype> set;
  double m;
  P3D_HOST_DEVICE void operator()(int64_t c, const Pair& sum) const {
    add(c, sum);
    set(c, sum, m);
  }
};

template <typename Dtype>
struct StoreSums {
  AddParamGradients<Dtype> add;
  int64_t channels;
  double* sums;
  P3D_HOST_DEVICE void operator()(int64_t c, const Pair& sum) const {
    add(c, sum);
    sums[c] = sum.first;
    sums[channels + c] = sum.second;
  }
};

template <typename Dtype>
struct SetJointGradient {
  SetGradient<Dtype> set;
  int64_t channels;
  const double *sums, *m;
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    set(c, Pair{sums[c], sums[channels + c]}, *m);
  }
};

template <typename Value>
struct BackwardKernel {
  Coefficients<RealOf<Value>> by;
  const Value *x, *dy;
  Value* dx;
  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto average = runs.Each(by.average), scale = runs.Each(by.scale),
               center = runs.Each(by.center), tilt = runs.Each(by.tilt),
               shift = runs.Each(by.shift);
    const auto f = [&](int k, RealOf<Value> d, RealOf<Value> v) {
      return (d - average[k]) * scale[k] +
             ((v - center[k]) * tilt[k] + shift[k]);
    };
    runs.Map(dx, f, dy, x);
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

template <typename Value>
struct FrozenBackwardKernel {
  const RealOf<Value>* gain;
  const Value* dy;
  Value* dx;
  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto gains = runs.Each(gain);
    runs.Map(dx, [&](int k, RealOf<Value> d) { return gains[k] * d; }, dy);
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

struct SetCount {
  double m;
  double* count;
  P3D_HOST_DEVICE void operator()(int64_t) const { *count = m; }
};

struct JoinKernel {
  int64_t ranks, channels;
  const double* all;
  double* joined;

  // Item `channels` is the number of values.
  P3D_HOST_DEVICE void operator()(int64_t c) const {
    double m = 0, mean = 0, variance = 0;
    for (int64_t r = 0; r < ranks; ++r) m += Of(r, 2 * channels);
    if (c == channels) {
      joined[2 * channels] = m;
      return;
    }
    const double origin = Of(0, c);
    for (int64_t r = 0; r < ranks; ++r) {
      mean += Of(r, 2 * channels) * (Of(r, c) - origin);
    }
    mean = origin + mean / m;
    for (int64_t r = 0; r < ranks; ++r) {
      const double d = Of(r, c) - mean;
      variance += Of(r, 2 * channels) * (Of(r, channels + c) + d * d);
    }
    joined[c] = mean;
    joined[channels + c] = variance / m;
  }
  P3D_HOST_DEVICE double Of(int64_t rank, int64_t item) const {
    return all[rank * (2 * channels + 1) + item];
  }
};

}  // namespace

int64_t NormalizeScratchSize(int64_t channels) {
  return kCoefficients * channels;
}

int64_t BnScratchSize(const Geometry& g, Order order) {
  return NormalizeScratchSize(g.channels) +
         ChannelSumsSize(Broadcast::Channels(g, order));
}

template <typename Value>
void ChannelStatistics(CUstream_st* stream, const Geometry& g, Order order,
                       const Value* x, double* scratch, double* mean,
                       double* variance) {
  const Broadcast channels = Broadcast::Channels(g, order);
  const double m = static_cast<double>(g.num * g.pixels);
  SumChannels<Value>(
      stream, "ChannelStatistics", channels, Aligned(x),
      DistanceTerm<Value>{x, channels.inner}, scratch,
      FinishStatistics<Value>{x, channels.inner, m, mean, variance});
}

template <typename Value>
void Normalize(CUstream_st* stream, const Geometry& g, Order order,
               const double* mean, const double* deviation,
               const RealOf<Value>* slope, const RealOf<Value>* bias,
               const Value* x, double* scratch, Value* y) {
  const Coefficients<RealOf<Value>> by(scratch, g.channels);
  ForEach(stream, "NormalizeCoefficients", g.channels,
          SetCoefficients<RealOf<Value>>{mean, deviation, slope, bias, by});
  ForEachRun<Value>(stream, "Normalize", Broadcast::Channels(g, order),
                    by.aligned() && Aligned(x, y),
                    NormalizeKernel<Value>{by, x, y});
}

template <typename Value>
void NormalizeBackward(CUstream_st* stream, const Geometry& g, Order order,
                       const double* mean, const double* deviation,
                       const RealOf<Value>* slope, const Value* x,
                       const Value* dy, double* scratch, RealOf<Value>* dslope,
                       RealOf<Value>* dbias, Value* dx) {
  const Coefficients<RealOf<Value>> by(scratch, g.channels);
  const Broadcast channels = Broadcast::Channels(g, order);
  const double m = static_cast<double>(g.num * g.pixels);
  SumChannels<Value>(
      stream, "NormalizeBackward sums", channels, Aligned(mean, x, dy),
      GradientTerm<Value>{mean, x, dy}, scratch + kCoefficients * g.channels,
      FinishGradient<RealOf<Value>>{
          {deviation, dslope, dbias}, {mean, deviation, slope, by}, m});
  if (!dx) return;
  ForEachRun<Value>(stream, "NormalizeBackward", channels,
                    by.aligned() && Aligned(x, dy, dx),
                    BackwardKernel<Value>{by, x, dy, dx});
}

template <typename Value>
void NormalizeBackwardFrozen(CUstream_st* stream, const Geometry& g,
                             Order order, const double* deviation,
                             const RealOf<Value>* slope, const Value* dy,
                             double* scratch, Value* dx) {
  RealOf<Value>* gain = reinterpret_cast<RealOf<Value>*>(scratch);
  ForEach(stream, "NormalizeBackwardFrozen gain", g.channels,
          SetGain<RealOf<Value>>{deviation, slope, gain});
  ForEachRun<Value>(stream, "NormalizeBackwardFrozen",
                    Broadcast::Channels(g, order), Aligned(gain, dy, dx),
                    FrozenBackwardKernel<Value>{gain, dy, dx});
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

template <typename Value>
void RankStatistics(CUstream_st* stream, const Geometry& g, Order order,
                    const Value* x, double* scratch, double* own) {
  ChannelStatistics(stream, g, order, x, scratch, own, own + g.channels);
  ForEach(
      stream, "RankStatistics", 1,
      SetCount{static_cast<double>(g.num * g.pixels), own + 2 * g.channels});
}

void JoinStatistics(CUstream_st* stream, int64_t ranks, int64_t channels,
                    const double* all, double* joined) {
  ForEach(stream, "JoinStatistics", channels + 1,
          JoinKernel{ranks, channels, all, joined});
}

template <typename Value>
void NormalizeBackwardSums(CUstream_st* stream, const Geometry& g, Order order,
                           const double* mean, const double* deviation,
                           const Value* x, const Value* dy, double* scratch,
                           RealOf<Value>* dslope, RealOf<Value>* dbias,
                           double* sums) {
  SumChannels<Value>(
      stream, "NormalizeBackwardSums", Broadcast::Channels(g, order),
      Aligned(mean, x, dy), GradientTerm<Value>{mean, x, dy},
      scratch + kCoefficients * g.channels,
      StoreSums<RealOf<Value>>{{deviation, dslope, dbias}, g.channels, sums});
}

template <typename Value>
void NormalizeBackwardJoint(CUstream_st* stream, const Geometry& g, Order order,
                            const double* mean, const double* deviation,
                            const RealOf<Value>* slope, const double* sums,
                            const double* m, const Value* x, const Value* dy,
                            double* scratch, Value* dx) {
  const Coefficients<RealOf<Value>> by(scratch, g.channels);
  ForEach(stream, "NormalizeBackwardJoint", g.channels,
          SetJointGradient<RealOf<Value>>{
              {mean, deviation, slope, by}, g.channels, sums, m});
  ForEachRun<Value>(stream, "NormalizeBackward", Broadcast::Channels(g, order),
                    by.aligned() && Aligned(x, dy, dx),
                    BackwardKernel<Value>{by, x, dy, dx});
}

#define P3D_INSTANTIATE(Value)                                                 \
  template void ChannelStatistics(CUstream_st*, const Geometry&, Order,        \
                                  const Value*, double*, double*, double*);    \
  template void Normalize(CUstream_st*, const Geometry&, Order, const double*, \
                          const double*, const RealOf<Value>*,                 \
                          const RealOf<Value>*, const Value*, double*,         \
                          Value*);                                             \
  template void NormalizeBackward(                                             \
      CUstream_st*, const Geometry&, Order, const double*, const double*,      \
      const RealOf<Value>*, const Value*, const Value*, double*,               \
      RealOf<Value>*, RealOf<Value>*, Value*);                                 \
  template void NormalizeBackwardFrozen(CUstream_st*, const Geometry&, Order,  \
                                        const double*, const RealOf<Value>*,   \
                                        const Value*, double*, Value*);        \
  template void RankStatistics(CUstream_st*, const Geometry&, Order,           \
                               const Value*, double*, double*);                \
  template void NormalizeBackwardSums(                                         \
      CUstream_st*, const Geometry&, Order, const double*, const double*,      \
      const Value*, const Value*, double*, RealOf<Value>*, RealOf<Value>*,     \
      double*);                                                                \
  template void NormalizeBackwardJoint(                                        \
      CUstream_st*, const Geometry&, Order, const double*, const double*,      \
      const RealOf<Value>*, const double*, const double*, const Value*,        \
      const Value*, double*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

#define P3D_INSTANTIATE(Dtype)                                       \
  template void UpdateRunning(CUstream_st*, int64_t, double, double, \
                              const double*, Dtype*);                \
  template void Moments(CUstream_st*, int64_t, double, const Dtype*, \
                        const Dtype*, double*, double*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
