#include "kernels/pointwise_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/affine.hpp"
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/pointwise_formulas.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, typename Function>
struct MapKernel {
  using Real = RealOf<Value>;
  Function f;
  const Value* x;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.Map(y, [&](int, Real v) { return f(v); }, x);
  }
};

// v: x or y, as f takes it.
template <typename Value, typename Function>
struct MapBackwardKernel {
  using Real = RealOf<Value>;
  Function f;
  const Value *v, *dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.Map(dx, [&](int, Real at, Real d) { return f(at, d); }, v, dy);
  }
};

template <typename Value, typename Function>
void Map(CUstream_st* stream, const char* kernel, const Value* x, int64_t count,
         Value* y, const Function& f) {
  ForEachRun<Value>(stream, kernel, count, Aligned(x, y),
                    MapKernel<Value, Function>{f, x, y});
}
template <typename Value, typename Function>
void Map(CUstream_st* stream, const char* kernel, const Value* v,
         const Value* dy, int64_t count, Value* dx, const Function& f) {
  ForEachRun<Value>(stream, kernel, count, Aligned(v, dy, dx),
                    MapBackwardKernel<Value, Function>{f, v, dy, dx});
}

template <typename Value>
struct EluBackwardKernel {
  using Real = RealOf<Value>;
  EluSlope<Real> f;
  const Value *x, *y, *dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.Map(
        dx, [&](int, Real v, Real d, Real of_v) { return f(v, d, of_v); }, x,
        dy, y);
  }
};

template <typename Value>
struct PreluKernel {
  using Real = RealOf<Value>;
  const Real* slope;
  const Value* x;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto slopes = runs.Each(slope);
    runs.Map(y, [&](int k, Real v) { return Rectify(v, slopes[k]); }, x);
  }
};

template <typename Value>
struct PreluBackwardKernel {
  using Real = RealOf<Value>;
  const Real* slope;
  const Value *x, *dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto slopes = runs.Each(slope);
    runs.Map(
        dx, [&](int k, Real v, Real d) { return v > 0 ? d : d * slopes[k]; }, x,
        dy);
  }
};

template <typename Value>
struct SlopeTerm {
  const Value *x, *dy;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto f = [](int, double v, double d) {
      return Pair{v < 0 ? d * v : 0., 0.};
    };
    return runs.Sum(f, x, dy);
  }
};

template <typename Dtype>
struct FinishSlope {
  Dtype* dslope;
  P3D_HOST_DEVICE void operator()(int64_t c, const Pair& sum) const {
    dslope[c] += static_cast<Dtype>(sum.first);
  }
};

}  // namespace

template <typename Value>
void Abs(CUstream_st* stream, const Value* x, int64_t count, Value* y) {
  Map(stream, "Abs", x, count, y, AbsOf<RealOf<Value>>());
}

template <typename Value>
void Bnll(CUstream_st* stream, const Value* x, int64_t count, Value* y) {
  Map(stream, "Bnll", x, count, y, BnllOf<RealOf<Value>>());
}

template <typename Value>
void Clip(CUstream_st* stream, const Value* x, int64_t count,
          RealOf<Value> least, RealOf<Value> most, Value* y) {
  Map(stream, "Clip", x, count, y, ClipOf<RealOf<Value>>{least, most});
}

template <typename Value>
void Elu(CUstream_st* stream, const Value* x, int64_t count,
         RealOf<Value> alpha, Value* y) {
  Map(stream, "Elu", x, count, y, EluOf<RealOf<Value>>{alpha});
}

template <typename Value>
void Exp(CUstream_st* stream, const Value* x, int64_t count,
         RealOf<Value> scale, RealOf<Value> factor, Value* y) {
  Map(stream, "Exp", x, count, y, ExpOf<RealOf<Value>>{scale, factor});
}

template <typename Value>
void Log(CUstream_st* stream, const Value* x, int64_t count,
         RealOf<Value> scale, RealOf<Value> shift, RealOf<Value> factor,
         Value* y) {
  Map(stream, "Log", x, count, y, LogOf<RealOf<Value>>{scale, shift, factor});
}

template <typename Value>
void Power(CUstream_st* stream, const Value* x, int64_t count,
           RealOf<Value> power, RealOf<Value> scale, RealOf<Value> shift,
           Value* y) {
  WithPower(power, scale, shift,
            [&](auto f) { Map(stream, "Power", x, count, y, f); });
}

template <typename Value>
void Relu(CUstream_st* stream, const Value* x, int64_t count,
          RealOf<Value> slope, Value* y) {
  if (slope == 0)
    return Map(stream, "Relu", x, count, y, ReluOf<RealOf<Value>>());
  Map(stream, "Relu", x, count, y, LeakyReluOf<RealOf<Value>>{slope});
}

template <typename Value>
void Sigmoid(CUstream_st* stream, const Value* x, int64_t count, Value* y) {
  Map(stream, "Sigmoid", x, count, y, SigmoidOf<RealOf<Value>>());
}

template <typename Value>
void Swish(CUstream_st* stream, const Value* x, int64_t count,
           RealOf<Value> beta, Value* y) {
  Map(stream, "Swish", x, count, y, SwishOf<RealOf<Value>>{beta});
}

template <typename Value>
void Tanh(CUstream_st* stream, const Value* x, int64_t count, Value* y) {
  Map(stream, "Tanh", x, count, y, TanhOf<RealOf<Value>>());
}

template <typename Value>
void Threshold(CUstream_st* stream, const Value* x, int64_t count,
               RealOf<Value> threshold, Value* y) {
  Map(stream, "Threshold", x, count, y, ThresholdOf<RealOf<Value>>{threshold});
}

template <typename Value>
void AbsBackward(CUstream_st* stream, const Value* x, const Value* dy,
                 int64_t count, Value* dx) {
  Map(stream, "AbsBackward", x, dy, count, dx, AbsSlope<RealOf<Value>>());
}

template <typename Value>
void BnllBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, Value* dx) {
  Map(stream, "BnllBackward", x, dy, count, dx, BnllSlope<RealOf<Value>>());
}

template <typename Value>
void ClipBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, RealOf<Value> least, RealOf<Value> most,
                  Value* dx) {
  Map(stream, "ClipBackward", x, dy, count, dx,
      ClipSlope<RealOf<Value>>{least, most});
}

template <typename Value>
void EluBackward(CUstream_st* stream, const Value* x, const Value* y,
                 const Value* dy, int64_t count, RealOf<Value> alpha,
                 Value* dx) {
  ForEachRun<Value>(stream, "EluBackward", count, Aligned(x, y, dy, dx),
                    EluBackwardKernel<Value>{{alpha}, x, y, dy, dx});
}

template <typename Value>
void ExpBackward(CUstream_st* stream, const Value* y, const Value* dy,
                 int64_t count, RealOf<Value> scale, Value* dx) {
  Map(stream, "ExpBackward", y, dy, count, dx, ExpSlope<RealOf<Value>>{scale});
}

template <typename Value>
void LogBackward(CUstream_st* stream, const Value* x, const Value* dy,
                 int64_t count, RealOf<Value> scale, RealOf<Value> shift,
                 RealOf<Value> factor, Value* dx) {
  Map(stream, "LogBackward", x, dy, count, dx,
      LogSlope<RealOf<Value>>{scale, shift, factor});
}

template <typename Value>
void PowerBackward(CUstream_st* stream, const Value* x, const Value* dy,
                   int64_t count, RealOf<Value> power, RealOf<Value> scale,
                   RealOf<Value> shift, Value* dx) {
  WithPowerSlope(power, scale, shift, [&](auto f) {
    Map(stream, "PowerBackward", x, dy, count, dx, f);
  });
}

template <typename Value>
void ReluBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, RealOf<Value> slope, Value* dx) {
  Map(stream, "ReluBackward", x, dy, count, dx,
      ReluSlope<RealOf<Value>>{slope});
}

template <typename Value>
void SigmoidBackward(CUstream_st* stream, const Value* y, const Value* dy,
                     int64_t count, Value* dx) {
  Map(stream, "SigmoidBackward", y, dy, count, dx,
      SigmoidSlope<RealOf<Value>>());
}

template <typename Value>
void SwishBackward(CUstream_st* stream, const Value* x, const Value* dy,
                   int64_t count, RealOf<Value> beta, Value* dx) {
  Map(stream, "SwishBackward", x, dy, count, dx,
      SwishSlope<RealOf<Value>>{beta});
}

template <typename Value>
void TanhBackward(CUstream_st* stream, const Value* y, const Value* dy,
                  int64_t count, Value* dx) {
  Map(stream, "TanhBackward", y, dy, count, dx, TanhSlope<RealOf<Value>>());
}

template <typename Value>
void Prelu(CUstream_st* stream, const Geometry& g, Order order, const Value* x,
           const RealOf<Value>* slope, Value* y) {
  ForEachRun<Value>(stream, "Prelu", Broadcast::Channels(g, order),
                    Aligned(slope, x, y), PreluKernel<Value>{slope, x, y});
}

template <typename Value>
void PreluBackward(CUstream_st* stream, const Geometry& g, Order order,
                   const Value* x, const RealOf<Value>* slope, const Value* dy,
                   double* scratch, RealOf<Value>* dslope, Value* dx) {
  const Broadcast channels = Broadcast::Channels(g, order);
  if (dslope) {
    SumChannels<Value>(stream, "PreluBackward sums", channels, Aligned(x, dy),
                       SlopeTerm<Value>{x, dy}, scratch,
                       FinishSlope<RealOf<Value>>{dslope});
  }
  if (!dx) return;
  ForEachRun<Value>(stream, "PreluBackward", channels,
                    Aligned(slope, x, dy, dx),
                    PreluBackwardKernel<Value>{slope, x, dy, dx});
}

#define P3D_INSTANTIATE(Value)                                                 \
  template void Abs(CUstream_st*, const Value*, int64_t, Value*);              \
  template void Bnll(CUstream_st*, const Value*, int64_t, Value*);             \
  template void Clip(CUstream_st*, const Value*, int64_t, RealOf<Value>,       \
                     RealOf<Value>, Value*);                                   \
  template void Elu(CUstream_st*, const Value*, int64_t, RealOf<Value>,        \
                    Value*);                                                   \
  template void Exp(CUstream_st*, const Value*, int64_t, RealOf<Value>,        \
                    RealOf<Value>, Value*);                                    \
  template void Log(CUstream_st*, const Value*, int64_t, RealOf<Value>,        \
                    RealOf<Value>, RealOf<Value>, Value*);                     \
  template void Power(CUstream_st*, const Value*, int64_t, RealOf<Value>,      \
                      RealOf<Value>, RealOf<Value>, Value*);                   \
  template void Relu(CUstream_st*, const Value*, int64_t, RealOf<Value>,       \
                     Value*);                                                  \
  template void Sigmoid(CUstream_st*, const Value*, int64_t, Value*);          \
  template void Swish(CUstream_st*, const Value*, int64_t, RealOf<Value>,      \
                      Value*);                                                 \
  template void Tanh(CUstream_st*, const Value*, int64_t, Value*);             \
  template void Threshold(CUstream_st*, const Value*, int64_t, RealOf<Value>,  \
                          Value*);                                             \
  template void AbsBackward(CUstream_st*, const Value*, const Value*, int64_t, \
                            Value*);                                           \
  template void BnllBackward(CUstream_st*, const Value*, const Value*,         \
                             int64_t, Value*);                                 \
  template void ClipBackward(CUstream_st*, const Value*, const Value*,         \
                             int64_t, RealOf<Value>, RealOf<Value>, Value*);   \
  template void EluBackward(CUstream_st*, const Value*, const Value*,          \
                            const Value*, int64_t, RealOf<Value>, Value*);     \
  template void ExpBackward(CUstream_st*, const Value*, const Value*, int64_t, \
                            RealOf<Value>, Value*);                            \
  template void LogBackward(CUstream_st*, const Value*, const Value*, int64_t, \
                            RealOf<Value>, RealOf<Value>, RealOf<Value>,       \
                            Value*);                                           \
  template void PowerBackward(CUstream_st*, const Value*, const Value*,        \
                              int64_t, RealOf<Value>, RealOf<Value>,           \
                              RealOf<Value>, Value*);                          \
  template void ReluBackward(CUstream_st*, const Value*, const Value*,         \
                             int64_t, RealOf<Value>, Value*);                  \
  template void SigmoidBackward(CUstream_st*, const Value*, const Value*,      \
                                int64_t, Value*);                              \
  template void SwishBackward(CUstream_st*, const Value*, const Value*,        \
                              int64_t, RealOf<Value>, Value*);                 \
  template void TanhBackward(CUstream_st*, const Value*, const Value*,         \
                             int64_t, Value*);                                 \
  template void Prelu(CUstream_st*, const Geometry&, Order, const Value*,      \
                      const RealOf<Value>*, Value*);                           \
  template void PreluBackward(CUstream_st*, const Geometry&, Order,            \
                              const Value*, const RealOf<Value>*,              \
                              const Value*, double*, RealOf<Value>*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
