#include "kernels/lrn_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// A pixel's channels [begin, end) around one of them, from where that lies on.
struct Neighbours {
  P3D_HOST_DEVICE Neighbours(int64_t channels, int64_t reach, int64_t c)
      : begin(-Smaller(c, reach)), end(Smaller(channels - c, reach + 1)) {}

  // The sum of value(j) over them.
  template <typename Real, typename Each>
  P3D_HOST_DEVICE Real Sum(const Each& value) const {
    Real sum = 0;
    for (int64_t j = begin; j < end; ++j) sum += value(j);
    return sum;
  }

  int64_t begin, end;
};

// k + alpha / size * the sum of squares around x[i], channel c.
template <typename Value>
struct Normalizer {
  using Real = RealOf<Value>;
  P3D_HOST_DEVICE Real operator()(int64_t i, int64_t c) const {
    const Neighbours around(channels, reach, c);
    const Real sum = around.Sum<Real>([&](int64_t j) {
      const Real value = x[i + j];
      return value * value;
    });
    return k + factor * sum;
  }

  int64_t channels, reach;
  Real k, factor;
  const Value* x;
};

template <typename Value>
Normalizer<Value> NormalizerOf(int64_t channels, int64_t size, double k,
                               double alpha, const Value* x) {
  using Real = RealOf<Value>;
  return {channels, (size - 1) / 2, static_cast<Real>(k),
          static_cast<Real>(alpha / static_cast<double>(size)), x};
}

template <typename Value>
struct AcrossKernel {
  using Real = RealOf<Value>;
  Normalizer<Value> scale;
  Real beta;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    y[i] = static_cast<Value>(Real(scale.x[i]) * std::pow(scale(i, c), -beta));
  }
};

// What every channel gives to the gradients of those around it:
// dy x s^(-beta - 1).
template <typename Value>
struct PullKernel {
  using Real = RealOf<Value>;
  Normalizer<Value> scale;
  Real beta;
  const Value* dy;
  Real* pulls;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    pulls[i] =
        Real(dy[i]) * Real(scale.x[i]) * std::pow(scale(i, c), -beta - 1);
  }
};

template <typename Value>
struct AcrossBackwardKernel {
  using Real = RealOf<Value>;
  Normalizer<Value> scale;
  Real beta;
  const Value* dy;
  const Real* pulls;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    const Neighbours around(scale.channels, scale.reach, c);
    const Real pull = around.Sum<Real>([&](int64_t j) { return pulls[i + j]; });
    const Real direct = Real(dy[i]) * std::pow(scale(i, c), -beta);
    dx[i] = static_cast<Value>(direct - 2 * scale.factor * beta *
                                            Real(scale.x[i]) * pull);
  }
};

template <typename Value>
struct SquaresKernel {
  using Real = RealOf<Value>;
  const Value* x;
  Real* squares;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.Map(squares, [](int, Real v) { return v * v; }, x);
  }
};

template <typename Value>
struct ApplyKernel {
  using Real = RealOf<Value>;
  Real alpha, beta;
  const Real* means;
  const Value* x;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto f = [&](int, Real mean, Real v) {
      return static_cast<Value>(v * std::pow(1 + alpha * mean, -beta));
    };
    runs.Map(y, f, means, x);
  }
};

template <typename Value>
struct ApplyBackwardKernel {
  using Real = RealOf<Value>;
  Real alpha, beta;
  const Real* means;
  const Value *x, *dy;
  Real* dmeans;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      const auto mean = Runs::Read(means + i);
      const auto values = Runs::Read(x + i), gradients = Runs::Read(dy + i);
      Run<Real, Runs::kWidth> pulls, direct;
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        const Real s = 1 + alpha * mean[k];
        direct[k] = Real(gradients[k]) * std::pow(s, -beta);
        pulls[k] = -alpha * beta * Real(values[k]) * direct[k] / s;
      }
      Runs::Write(pulls, dmeans + i);
      Runs::Write(direct, dx + i);
    });
  }
};

template <typename Value>
struct SquaresBackwardKernel {
  using Real = RealOf<Value>;
  const Value* x;
  const Real* dsquares;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto f = [](int, Real v, Real d, Real before) {
      return static_cast<Value>(before + 2 * v * d);
    };
    runs.Map(dx, f, x, dsquares, dx);
  }
};

}  // namespace

template <typename Value>
void LrnAcrossChannels(CUstream_st* stream, int64_t rows, int64_t channels,
                       int64_t size, double k, double alpha, double beta,
                       const Value* x, Value* y) {
  const auto scale = NormalizerOf(channels, size, k, alpha, x);
  ForEachValue(stream, "LrnAcrossChannels", {rows, channels, 1},
               AcrossKernel<Value>{scale, static_cast<RealOf<Value>>(beta), y});
}

template <typename Value>
void LrnSquares(CUstream_st* stream, int64_t count, const Value* x,
                RealOf<Value>* squares) {
  ForEachRun<Value>(stream, "LrnSquares", count, Aligned(x, squares),
                    SquaresKernel<Value>{x, squares});
}

template <typename Value>
void LrnApply(CUstream_st* stream, int64_t count, double alpha, double beta,
              const RealOf<Value>* mean_square, const Value* x, Value* y) {
  using Real = RealOf<Value>;
  ForEachRun<Value>(
      stream, "LrnApply", count, Aligned(mean_square, x, y),
      ApplyKernel<Value>{static_cast<Real>(alpha), static_cast<Real>(beta),
                         mean_square, x, y});
}

template <typename Value>
void LrnAcrossChannelsBackward(CUstream_st* stream, int64_t rows,
                               int64_t channels, int64_t size, double k,
                               double alpha, double beta, const Value* x,
                               const Value* dy, RealOf<Value>* scratch,
                               Value* dx) {
  const auto scale = NormalizerOf(channels, size, k, alpha, x);
  const auto power = static_cast<RealOf<Value>>(beta);
  ForEachValue(stream, "LrnAcrossChannels pulls", {rows, channels, 1},
               PullKernel<Value>{scale, power, dy, scratch});
  ForEachValue(stream, "LrnAcrossChannelsBackward", {rows, channels, 1},
               AcrossBackwardKernel<Value>{scale, power, dy, scratch, dx});
}

template <typename Value>
void LrnApplyBackward(CUstream_st* stream, int64_t count, double alpha,
                      double beta, const RealOf<Value>* mean_square,
                      const Value* x, const Value* dy,
                      RealOf<Value>* dmean_square, Value* dx) {
  using Real = RealOf<Value>;
  ForEachRun<Value>(stream, "LrnApplyBackward", count,
                    Aligned(mean_square, x, dy, dmean_square, dx),
                    ApplyBackwardKernel<Value>{
                        static_cast<Real>(alpha), static_cast<Real>(beta),
                        mean_square, x, dy, dmean_square, dx});
}

template <typename Value>
void LrnSquaresBackward(CUstream_st* stream, int64_t count, const Value* x,
                        const RealOf<Value>* dsquares, Value* dx) {
  ForEachRun<Value>(stream, "LrnSquaresBackward", count,
                    Aligned(x, dsquares, dx),
                    SquaresBackwardKernel<Value>{x, dsquares, dx});
}

#define P3D_INSTANTIATE(Value)                                             \
  template void LrnAcrossChannels(CUstream_st*, int64_t, int64_t, int64_t, \
                                  double, double, double, const Value*,    \
                                  Value*);                                 \
  template void LrnSquares(CUstream_st*, int64_t, const Value*,            \
                           RealOf<Value>*);                                \
  template void LrnApply(CUstream_st*, int64_t, double, double,            \
                         const RealOf<Value>*, const Value*, Value*);      \
  template void LrnAcrossChannelsBackward(                                 \
      CUstream_st*, int64_t, int64_t, int64_t, double, double, double,     \
      const Value*, const Value*, RealOf<Value>*, Value*);                 \
  template void LrnApplyBackward(CUstream_st*, int64_t, double, double,    \
                                 const RealOf<Value>*, const Value*,       \
                                 const Value*, RealOf<Value>*, Value*);    \
  template void LrnSquaresBackward(CUstream_st*, int64_t, const Value*,    \
                                   const RealOf<Value>*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
