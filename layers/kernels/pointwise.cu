#include "kernels/pointwise_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/affine.hpp"
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/cuda_launch.hpp"
#include "kernels/pointwise_formulas.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, typename Function>
struct MapKernel {
  Function f;
  const Value* x;
  Value* y;
  P3D_HOST_DEVICE void operator()(int64_t i) const {
    y[i] = f(RealOf<Value>(x[i]));
  }
};

// v: x or y, as f takes it.
template <typename Value, typename Function>
struct MapBackwardKernel {
  Function f;
  const Value *v, *dy;
  Value* dx;
  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = f(RealOf<Value>(v[i]), RealOf<Value>(dy[i]));
  }
};

template <typename Value, typename Function>
void Map(CUstream_st* stream, const char* kernel, const Value* x, int64_t count,
         Value* y, const Function& f) {
  ForEach(stream, kernel, count, MapKernel<Value, Function>{f, x, y});
}
template <typename Value, typename Function>
void Map(CUstream_st* stream, const char* kernel, const Value* v,
         const Value* dy, int64_t count, Value* dx, const Function& f) {
  ForEach(stream, kernel, count,
          MapBackwardKernel<Value, Function>{f, v, dy, dx});
}

template <typename Dtype>
struct EluBackwardKernel {
  EluSlope<Dtype> f;
  const Dtype *x, *y, *dy;
  Dtype* dx;
  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = f(x[i], dy[i], y[i]);
  }
};

template <typename Dtype>
struct PreluKernel {
  const Dtype *slope, *x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    y[i] = Rectify(x[i], slope[c]);
  }
};

template <typename Dtype>
struct PreluBackwardKernel {
  const Dtype *slope, *x, *dy;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    dx[i] = x[i] > 0 ? dy[i] : dy[i] * slope[c];
  }
};

template <typename Dtype>
struct SlopeTerm {
  const Dtype *x, *dy;
  P3D_HOST_DEVICE Pair operator()(int64_t, int64_t i) const {
    return {x[i] < 0 ? static_cast<double>(dy[i]) * x[i] : 0., 0.};
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

template <typename Dtype>
void Abs(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y) {
  Map(stream, "Abs", x, count, y, AbsOf<Dtype>());
}

template <typename Dtype>
void Bnll(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y) {
  Map(stream, "Bnll", x, count, y, BnllOf<Dtype>());
}

template <typename Dtype>
void Clip(CUstream_st* stream, const Dtype* x, int64_t count, Dtype least,
          Dtype most, Dtype* y) {
  Map(stream, "Clip", x, count, y, ClipOf<Dtype>{least, most});
}

template <typename Dtype>
void Elu(CUstream_st* stream, const Dtype* x, int64_t count, Dtype alpha,
         Dtype* y) {
  Map(stream, "Elu", x, count, y, EluOf<Dtype>{alpha});
}

template <typename Dtype>
void Exp(CUstream_st* stream, const Dtype* x, int64_t count, Dtype scale,
         Dtype factor, Dtype* y) {
  Map(stream, "Exp", x, count, y, ExpOf<Dtype>{scale, factor});
}

template <typename Dtype>
void Log(CUstream_st* stream, const Dtype* x, int64_t count, Dtype scale,
         Dtype shift, Dtype factor, Dtype* y) {
  Map(stream, "Log", x, count, y, LogOf<Dtype>{scale, shift, factor});
}

template <typename Dtype>
void Power(CUstream_st* stream, const Dtype* x, int64_t count, Dtype power,
           Dtype scale, Dtype shift, Dtype* y) {
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

template <typename Dtype>
void Sigmoid(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y) {
  Map(stream, "Sigmoid", x, count, y, SigmoidOf<Dtype>());
}

template <typename Dtype>
void Swish(CUstream_st* stream, const Dtype* x, int64_t count, Dtype beta,
           Dtype* y) {
  Map(stream, "Swish", x, count, y, SwishOf<Dtype>{beta});
}

template <typename Dtype>
void Tanh(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y) {
  Map(stream, "Tanh", x, count, y, TanhOf<Dtype>());
}

template <typename Dtype>
void Threshold(CUstream_st* stream, const Dtype* x, int64_t count,
               Dtype threshold, Dtype* y) {
  Map(stream, "Threshold", x, count, y, ThresholdOf<Dtype>{threshold});
}

template <typename Dtype>
void AbsBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                 int64_t count, Dtype* dx) {
  Map(stream, "AbsBackward", x, dy, count, dx, AbsSlope<Dtype>());
}

template <typename Dtype>
void BnllBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                  int64_t count, Dtype* dx) {
  Map(stream, "BnllBackward", x, dy, count, dx, BnllSlope<Dtype>());
}

template <typename Dtype>
void ClipBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                  int64_t count, Dtype least, Dtype most, Dtype* dx) {
  Map(stream, "ClipBackward", x, dy, count, dx, ClipSlope<Dtype>{least, most});
}

template <typename Dtype>
void EluBackward(CUstream_st* stream, const Dtype* x, const Dtype* y,
                 const Dtype* dy, int64_t count, Dtype alpha, Dtype* dx) {
  ForEach(stream, "EluBackward", count,
          EluBackwardKernel<Dtype>{{alpha}, x, y, dy, dx});
}

template <typename Dtype>
void ExpBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                 int64_t count, Dtype scale, Dtype* dx) {
  Map(stream, "ExpBackward", y, dy, count, dx, ExpSlope<Dtype>{scale});
}

template <typename Dtype>
void LogBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                 int64_t count, Dtype scale, Dtype shift, Dtype factor,
                 Dtype* dx) {
  Map(stream, "LogBackward", x, dy, count, dx,
      LogSlope<Dtype>{scale, shift, factor});
}

template <typename Dtype>
void PowerBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                   int64_t count, Dtype power, Dtype scale, Dtype shift,
                   Dtype* dx) {
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

template <typename Dtype>
void SigmoidBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                     int64_t count, Dtype* dx) {
  Map(stream, "SigmoidBackward", y, dy, count, dx, SigmoidSlope<Dtype>());
}

template <typename Dtype>
void SwishBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                   int64_t count, Dtype beta, Dtype* dx) {
  Map(stream, "SwishBackward", x, dy, count, dx, SwishSlope<Dtype>{beta});
}

template <typename Dtype>
void TanhBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                  int64_t count, Dtype* dx) {
  Map(stream, "TanhBackward", y, dy, count, dx, TanhSlope<Dtype>());
}

template <typename Dtype>
void Prelu(CUstream_st* stream, const Geometry& g, Order order, const Dtype* x,
           const Dtype* slope, Dtype* y) {
  ForEachValue(stream, "Prelu", Broadcast::Channels(g, order),
               PreluKernel<Dtype>{slope, x, y});
}

int64_t PreluScratchSize(const Geometry& g, Order order) {
  return ChannelSumsSize(Broadcast::Channels(g, order));
}

template <typename Dtype>
void PreluBackward(CUstream_st* stream, const Geometry& g, Order order,
                   const Dtype* x, const Dtype* slope, const Dtype* dy,
                   double* scratch, Dtype* dslope, Dtype* dx) {
  const Broadcast channels = Broadcast::Channels(g, order);
  if (dslope) {
    SumChannels(stream, "PreluBackward sums", channels, SlopeTerm<Dtype>{x, dy},
                scratch, FinishSlope<Dtype>{dslope});
  }
  if (!dx) return;
  ForEachValue(stream, "PreluBackward", channels,
               PreluBackwardKernel<Dtype>{slope, x, dy, dx});
}

#define P3D_INSTANTIATE(Value)                                           \
  template void Relu(CUstream_st*, const Value*, int64_t, RealOf<Value>, \
                     Value*);                                            \
  template void ReluBackward(CUstream_st*, const Value*, const Value*,   \
                             int64_t, RealOf<Value>, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void Abs(CUstream_st*, const Dtype*, int64_t, Dtype*);              \
  template void Bnll(CUstream_st*, const Dtype*, int64_t, Dtype*);             \
  template void Clip(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype,        \
                     Dtype*);                                                  \
  template void Elu(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype*);       \
  template void Exp(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype,         \
                    Dtype*);                                                   \
  template void Log(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype, Dtype,  \
                    Dtype*);                                                   \
  template void Power(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype,       \
                      Dtype, Dtype*);                                          \
  template void Sigmoid(CUstream_st*, const Dtype*, int64_t, Dtype*);          \
  template void Swish(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype*);     \
  template void Tanh(CUstream_st*, const Dtype*, int64_t, Dtype*);             \
  template void Threshold(CUstream_st*, const Dtype*, int64_t, Dtype, Dtype*); \
  template void AbsBackward(CUstream_st*, const Dtype*, const Dtype*, int64_t, \
                            Dtype*);                                           \
  template void BnllBackward(CUstream_st*, const Dtype*, const Dtype*,         \
                             int64_t, Dtype*);                                 \
  template void ClipBackward(CUstream_st*, const Dtype*, const Dtype*,         \
                             int64_t, Dtype, Dtype, Dtype*);                   \
  template void EluBackward(CUstream_st*, const Dtype*, const Dtype*,          \
                            const Dtype*, int64_t, Dtype, Dtype*);             \
  template void ExpBackward(CUstream_st*, const Dtype*, const Dtype*, int64_t, \
                            Dtype, Dtype*);                                    \
  template void LogBackward(CUstream_st*, const Dtype*, const Dtype*, int64_t, \
                            Dtype, Dtype, Dtype, Dtype*);                      \
  template void PowerBackward(CUstream_st*, const Dtype*, const Dtype*,        \
                              int64_t, Dtype, Dtype, Dtype, Dtype*);           \
  template void SigmoidBackward(CUstream_st*, const Dtype*, const Dtype*,      \
                                int64_t, Dtype*);                              \
  template void SwishBackward(CUstream_st*, const Dtype*, const Dtype*,        \
                              int64_t, Dtype, Dtype*);                         \
  template void TanhBackward(CUstream_st*, const Dtype*, const Dtype*,         \
                             int64_t, Dtype*);                                 \
  template void Prelu(CUstream_st*, const Geometry&, Order, const Dtype*,      \
                      const Dtype*, Dtype*);                                   \
  template void PreluBackward(CUstream_st*, const Geometry&, Order,            \
                              const Dtype*, const Dtype*, const Dtype*,        \
                              double*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
