#include "kernels/mvn_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/affine.hpp"
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/coefficients_cuda.hpp"
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// How values lie. In Caffe's order each channel of each image is one of a
// single image.
struct Images {
  Images(const Geometry& g, Order order)
      : shape{1, g.num * g.channels, g.pixels},
        size(g.count()),
        values(static_cast<double>(g.pixels)) {
    if (order == Order::kCaffe || g.channels == 1) return;
    shape = Broadcast::Channels(g, order);
    count = g.num;
    size = g.channels * g.pixels;
  }

  int64_t rows() const { return count * shape.dim; }
  // Where the numbers lie that belong to what SumChannels calls row r...
  P3D_HOST_DEVICE int64_t Place(int64_t r) const {
    const int64_t c = Channel(r);
    return (r - c * count) * shape.dim + c;
  }
  P3D_HOST_DEVICE int64_t Channel(int64_t r) const {
    return Quotient(r, count);
  }
  // ... and where those begin of the image that has value i.
  P3D_HOST_DEVICE int64_t Begin(int64_t i) const {
    return count == 1 ? 0 : Quotient(i, size) * shape.dim;
  }

  Broadcast shape;
  int64_t count = 1, size;  // of images, and of values of one
  double values;            // of a channel of an image
};

// Each channel's first value of all, from which distances are taken.
template <typename Value>
struct Origins {
  const Value* x;
  int64_t inner;
  template <typename Runs>
  P3D_HOST_DEVICE auto Each(const Runs& runs) const {
    return runs.Each(x + runs.d * (inner - 1));  // x[d * inner]
  }
  P3D_HOST_DEVICE double of(int64_t c) const { return x[c * inner]; }
};

template <typename Value>
struct DistanceTerm {
  Origins<Value> origin;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto origins = origin.Each(runs);
    const auto f = [&](int k, double v) {
      const double d = v - origins[k];
      return Pair{d, d * d};
    };
    return runs.Sum(f, origin.x);
  }
};

template <typename Value>
struct FinishStatistics {
  using Real = RealOf<Value>;
  Images images;
  Origins<Value> origin;
  bool variance;
  double eps;
  double *mean, *deviation;
  Coefficients<Real> by;
  P3D_HOST_DEVICE void operator()(int64_t r, const Pair& sum) const {
    const int64_t at = images.Place(r);
    const double m = images.values;
    const double v = (sum.second - sum.first * sum.first / m) / m;
    const double average = origin.of(images.Channel(r)) + sum.first / m;
    const double width = variance ? std::sqrt(v > 0 ? v : 0) + eps : 1;
    const Real center = static_cast<Real>(average);
    mean[at] = average;
    deviation[at] = width;
    by.center[at] = center;
    by.scale[at] = static_cast<Real>(1 / width);
    by.shift[at] = static_cast<Real>((center - average) / width);
  }
};

template <typename Value>
struct NormalizeKernel {
  Images images;
  Coefficients<RealOf<Value>> by;
  const Value* x;
  Value* y;
  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      const int64_t at = images.Begin(i);
      const auto center = runs.Each(by.center + at),
                 scale = runs.Each(by.scale + at),
                 shift = runs.Each(by.shift + at);
      const auto f = [&](int k, RealOf<Value> v) {
        return static_cast<Value>((v - center[k]) * scale[k] + shift[k]);
      };
      Runs::Write(Runs::template Apply<Value>(f, Runs::Read(x + i)), y + i);
    });
  }
};

// dy and dy times the distance.
template <typename Value>
struct GradientTerm {
  Origins<Value> origin;
  const Value* dy;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto origins = origin.Each(runs);
    const auto f = [&](int k, double d, double v) {
      return Pair{d, d * (v - origins[k])};
    };
    return runs.Sum(f, dy, origin.x);
  }
};

template <typename Value>
struct FinishGradient {
  using Real = RealOf<Value>;
  Images images;
  Origins<Value> origin;
  bool variance;
  const double *mean, *deviation;
  Coefficients<Real> by;
  P3D_HOST_DEVICE void operator()(int64_t r, const Pair& sum) const {
    const int64_t at = images.Place(r);
    const double m = images.values, width = deviation[at];
    const double from_mean = mean[at] - origin.of(images.Channel(r));
    const double pull = sum.second - from_mean * sum.first;
    const double tilt = variance ? -pull / (m * width * width * width) : 0;
    const Real center = variance ? static_cast<Real>(mean[at]) : Real(0);
    const Real average = static_cast<Real>(sum.first / m);
    by.center[at] = center;
    by.average[at] = average;
    by.scale[at] = static_cast<Real>(1 / width);
    by.tilt[at] = static_cast<Real>(tilt);
    by.shift[at] = static_cast<Real>((average - sum.first / m) / width -
                                     tilt * (mean[at] - center));
  }
};

template <typename Value>
struct BackwardKernel {
  Images images;
  Coefficients<RealOf<Value>> by;
  const Value *x, *dy;
  Value* dx;
  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      const int64_t at = images.Begin(i);
      const auto average = runs.Each(by.average + at),
                 scale = runs.Each(by.scale + at),
                 center = runs.Each(by.center + at),
                 tilt = runs.Each(by.tilt + at),
                 shift = runs.Each(by.shift + at);
      const auto f = [&](int k, RealOf<Value> d, RealOf<Value> v) {
        return static_cast<Value>((d - average[k]) * scale[k] +
                                  ((v - center[k]) * tilt[k] + shift[k]));
      };
      const auto gradients = Runs::Read(dy + i), values = Runs::Read(x + i);
      Runs::Write(Runs::template Apply<Value>(f, gradients, values), dx + i);
    });
  }
};

}  // namespace

int64_t MvnScratchSize(const Geometry& g, Order order) {
  const Images images(g, order);
  return kCoefficients * images.rows() +
         ChannelSumsSize(images.shape, images.count);
}

template <typename Value>
void MvnNormalize(CUstream_st* stream, const Geometry& g, Order order,
                  bool variance, double eps, const Value* x, double* scratch,
                  double* mean, double* deviation, Value* y) {
  const Images images(g, order);
  const Coefficients<RealOf<Value>> by(scratch, images.rows());
  const Origins<Value> origin = {x, images.shape.inner};
  SumChannels<Value>(stream, "MvnNormalize sums", images.shape, Aligned(x),
                     DistanceTerm<Value>{origin},
                     scratch + kCoefficients * images.rows(),
                     FinishStatistics<Value>{images, origin, variance, eps,
                                             mean, deviation, by},
                     images.count);
  ForEachRun<Value>(stream, "MvnNormalize", images.shape,
                    by.aligned() && Aligned(x, y),
                    NormalizeKernel<Value>{images, by, x, y});
}

template <typename Value>
void MvnBackward(CUstream_st* stream, const Geometry& g, Order order,
                 bool variance, const double* mean, const double* deviation,
                 const Value* x, const Value* dy, double* scratch, Value* dx) {
  const Images images(g, order);
  const Coefficients<RealOf<Value>> by(scratch, images.rows());
  // Where x plays no part it is not read either.
  const Value* values = variance ? x : dy;
  const Origins<Value> origin = {values, images.shape.inner};
  SumChannels<Value>(
      stream, "MvnBackward sums", images.shape, Aligned(values, dy),
      GradientTerm<Value>{origin, dy}, scratch + kCoefficients * images.rows(),
      FinishGradient<Value>{images, origin, variance, mean, deviation, by},
      images.count);
  ForEachRun<Value>(stream, "MvnBackward", images.shape,
                    by.aligned() && Aligned(values, dy, dx),
                    BackwardKernel<Value>{images, by, values, dy, dx});
}

#define P3D_INSTANTIATE(Value)                                                \
  template void MvnNormalize(CUstream_st*, const Geometry&, Order, bool,      \
                             double, const Value*, double*, double*, double*, \
                             Value*);                                         \
  template void MvnBackward(CUstream_st*, const Geometry&, Order, bool,       \
                            const double*, const double*, const Value*,       \
                            const Value*, double*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
