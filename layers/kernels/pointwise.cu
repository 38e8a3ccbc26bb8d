#include "kernels/pointwise_cuda.hpp"

// The header that this file implements comes first.
#include <cmath>

#include "kernels/affine.hpp"
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
P3D_HOST_DEVICE Dtype Rectify(Dtype v, Dtype slope) {
  return (v < 0 ? Dtype(0) : v) + slope * (v > 0 ? Dtype(0) : v);
}

template <typename Value>
struct ReluKernel {
  using Real = RealOf<Value>;
  Real slope;
  const Value* x;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Real v = x[i];
    if (slope == 0) {
      y[i] = v < 0 ? Real(0) : v;
    } else {
      y[i] = Rectify(v, slope);
    }
  }
};

template <typename Value>
struct ReluBackwardKernel {
  using Real = RealOf<Value>;
  Real slope;
  const Value *x, *dy;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Real d = dy[i];
    dx[i] = x[i] > 0 ? d : slope * d;
  }
};

template <typename Dtype>
struct SigmoidKernel {
  const Dtype* x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    y[i] = 1 / (1 + std::exp(-x[i]));
  }
};

template <typename Dtype>
struct SigmoidBackwardKernel {
  const Dtype *y, *dy;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = dy[i] * y[i] * (1 - y[i]);
  }
};

template <typename Dtype>
struct TanhKernel {
  const Dtype* x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const { y[i] = std::tanh(x[i]); }
};

template <typename Dtype>
struct TanhBackwardKernel {
  const Dtype *y, *dy;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = dy[i] * (1 - y[i] * y[i]);
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

template <typename Value>
void Relu(CUstream_st* stream, const Value* x, int64_t count,
          RealOf<Value> slope, Value* y) {
  ForEach(stream, "Relu", count, ReluKernel<Value>{slope, x, y});
}

template <typename Value>
void ReluBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, RealOf<Value> slope, Value* dx) {
  ForEach(stream, "ReluBackward", count,
          ReluBackwardKernel<Value>{slope, x, dy, dx});
}

template <typename Dtype>
void Sigmoid(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y) {
  ForEach(stream, "Sigmoid", count, SigmoidKernel<Dtype>{x, y});
}

template <typename Dtype>
void SigmoidBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                     int64_t count, Dtype* dx) {
  ForEach(stream, "SigmoidBackward", count,
          SigmoidBackwardKernel<Dtype>{y, dy, dx});
}

template <typename Dtype>
void Tanh(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y) {
  ForEach(stream, "Tanh", count, TanhKernel<Dtype>{x, y});
}

template <typename Dtype>
void TanhBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                  int64_t count, Dtype* dx) {
  ForEach(stream, "TanhBackward", count, TanhBackwardKernel<Dtype>{y, dy, dx});
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

#define P3D_INSTANTIATE(Dtype)                                            \
  template void Sigmoid(CUstream_st*, const Dtype*, int64_t, Dtype*);     \
  template void SigmoidBackward(CUstream_st*, const Dtype*, const Dtype*, \
                                int64_t, Dtype*);                         \
  template void Tanh(CUstream_st*, const Dtype*, int64_t, Dtype*);        \
  template void TanhBackward(CUstream_st*, const Dtype*, const Dtype*,    \
                             int64_t, Dtype*);                            \
  template void Prelu(CUstream_st*, const Geometry&, Order, const Dtype*, \
                      const Dtype*, Dtype*);                              \
  template void PreluBackward(CUstream_st*, const Geometry&, Order,       \
                              const Dtype*, const Dtype*, const Dtype*,   \
                              double*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
