#include "kernels/affine_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value>
struct ScaleShiftKernel {
  using Real = RealOf<Value>;
  const Real *center, *scale, *shift;
  const Value* x;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto centers = runs.Each(center), scales = runs.Each(scale),
               shifts = runs.Each(shift);
    const auto f = [&](int k, Real value) {
      if (center) value -= centers[k];
      if (scale) value *= scales[k];
      if (shift) value += shifts[k];
      return value;
    };
    runs.Map(y, f, x);
  }
};

// dy x, where x is there, and dy.
template <typename Value>
struct ScaleTerm {
  const Value *x, *dy;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto both = [](int, double d, double v) { return Pair{d * v, d}; };
    const auto one = [](int, double d) { return Pair{0, d}; };
    return x ? runs.Sum(both, dy, x) : runs.Sum(one, dy);
  }
};

template <typename Real>
struct AddScaleGradients {
  Real *dscale, *dshift;
  P3D_HOST_DEVICE void operator()(int64_t d, const Pair& sum) const {
    if (dscale) dscale[d] += static_cast<Real>(sum.first);
    if (dshift) dshift[d] += static_cast<Real>(sum.second);
  }
};

template <typename Value>
struct ScaleWeightsKernel {
  int64_t terms;
  const float *scale, *shift;
  const Value* weights;
  Value *scaled, *rounded;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const float factor = scale[runs.d];
    const auto f = [=](int, float value) { return value * factor; };
    runs.Map(scaled, f, weights);
    // Each by the thread that begins its row.
    if (rounded && runs.first == runs.d * terms) {
      rounded[runs.d] = Value(shift[runs.d]);
    }
  }
};

}  // namespace

template <typename Value>
void ScaleShift(CUstream_st* stream, const Broadcast& shape,
                const RealOf<Value>* center, const RealOf<Value>* scale,
                const RealOf<Value>* shift, const Value* x, Value* y) {
  ForEachRun<Value>(stream, "ScaleShift", shape,
                    Aligned(center, scale, shift, x, y),
                    ScaleShiftKernel<Value>{center, scale, shift, x, y});
}

int64_t SumsScratchSize(const Broadcast& shape) {
  return ChannelSumsSize(shape);
}

template <typename Value>
void ScaleShiftGradients(CUstream_st* stream, const Broadcast& shape,
                         const Value* x, const Value* dy, double* scratch,
                         RealOf<Value>* dscale, RealOf<Value>* dshift) {
  SumChannels<Value>(stream, "ScaleShiftGradients", shape, Aligned(x, dy),
                     ScaleTerm<Value>{dscale ? x : nullptr, dy}, scratch,
                     AddScaleGradients<RealOf<Value>>{dscale, dshift});
}

template <typename Value>
void ScaleWeights(CUstream_st* stream, int64_t outputs, int64_t terms,
                  const float* scale, const float* shift, const Value* weights,
                  Value* scaled, Value* rounded) {
  // Of rows of one value, a run would be of several rows.
  const bool aligned = terms > 1 && Aligned(weights, scaled);
  ForEachRun<Value>(
      stream, "ScaleWeights", Broadcast{1, outputs, terms}, aligned,
      ScaleWeightsKernel<Value>{terms, scale, shift, weights, scaled, rounded});
}

#define P3D_INSTANTIATE(Value)                                           \
  template void ScaleShift(CUstream_st*, const Broadcast&,               \
                           const RealOf<Value>*, const RealOf<Value>*,   \
                           const RealOf<Value>*, const Value*, Value*);  \
  template void ScaleShiftGradients(CUstream_st*, const Broadcast&,      \
                                    const Value*, const Value*, double*, \
                                    RealOf<Value>*, RealOf<Value>*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

#define P3D_INSTANTIATE(Value)                                             \
  template void ScaleWeights(CUstream_st*, int64_t, int64_t, const float*, \
                             const float*, const Value*, Value*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
