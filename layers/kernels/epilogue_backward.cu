#include "kernels/epilogue_backward_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value>
struct EpilogueBackwardKernel {
  using Real = RealOf<Value>;
  bool relu, add;
  Real alpha, beta;
  const Real* scale;
  const Value* y;
  Value *dy, *dresidual;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto scales = runs.Each(scale);
    runs.ForEach([&](int64_t i) {
      auto d = runs.Read(dy + i);
      if (relu) Rectify(runs.Read(y + i), &d);
      if (dresidual) {
        auto sum = add ? runs.Read(dresidual + i) : d;
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) {
          sum[k] = (add ? Real(sum[k]) : 0) + beta * Real(d[k]);
        }
        runs.Write(sum, dresidual + i);
      }
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        d[k] = Real(d[k]) * (scale ? alpha * scales[k] : alpha);
      }
      runs.Write(d, dy + i);
    });
  }
  template <int n>
  P3D_HOST_DEVICE static void Rectify(const Run<Value, n>& out,
                                      Run<Value, n>* d) {
    P3D_UNROLL
    for (int k = 0; k < n; ++k) {
      if (!(out[k] > 0)) (*d)[k] = Value(0);
    }
  }
};

}  // namespace

template <typename Value>
void EpilogueBackward(CUstream_st* stream, const Epilogue<Value>& epilogue,
                      int64_t rows, int64_t channels, const Value* y, Value* dy,
                      Value* dresidual, bool add) {
  EpilogueBackwardKernel<Value> kernel = {};
  kernel.relu = epilogue.inner_relu || epilogue.outer_relu;
  kernel.add = add;
  kernel.alpha = epilogue.residual ? epilogue.alpha : 1.f;
  kernel.beta = epilogue.beta;
  kernel.scale = epilogue.scale;
  kernel.y = y;
  kernel.dy = dy;
  kernel.dresidual = dresidual;
  ForEachRun<Value>(stream, "EpilogueBackward", Broadcast{rows, channels, 1},
                    Aligned(kernel.scale, y, dy, dresidual), kernel);
}

#define P3D_INSTANTIATE(Value)                                           \
  template void EpilogueBackward(CUstream_st*, const Epilogue<Value>&,   \
                                 int64_t, int64_t, const Value*, Value*, \
                                 Value*, bool)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
