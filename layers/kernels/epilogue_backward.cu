#include "kernels/epilogue_backward_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/affine.hpp"
#include "kernels/cuda_launch.hpp"

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

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    const Real d = !relu || y[i] > 0 ? Real(dy[i]) : 0;
    if (dresidual) dresidual[i] = (add ? Real(dresidual[i]) : 0) + beta * d;
    dy[i] = d * (scale ? alpha * scale[c] : alpha);
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
  ForEachValue(stream, "EpilogueBackward", {rows, channels, 1}, kernel);
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
