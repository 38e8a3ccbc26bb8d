#include "kernels/epilogue_backward_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/affine.hpp"
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

struct EpilogueBackwardKernel {
  bool relu, add;
  float alpha, beta;
  const float *scale, *y;
  float *dy, *dresidual;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t c) const {
    const float d = !relu || y[i] > 0 ? dy[i] : 0.f;
    if (dresidual) dresidual[i] = (add ? dresidual[i] : 0.f) + beta * d;
    dy[i] = d * (scale ? alpha * scale[c] : alpha);
  }
};

}  // namespace

void EpilogueBackward(CUstream_st* stream, const ConvEpilogue& epilogue,
                      int64_t rows, int64_t channels, const float* y, float* dy,
                      float* dresidual, bool add) {
  EpilogueBackwardKernel kernel = {};
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

}  // namespace cuda
}  // namespace p3d
