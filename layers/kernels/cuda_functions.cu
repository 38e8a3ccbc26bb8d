#include "kernels/cuda_functions.hpp"

extern "C" const p3d::cuda::Functions* p3d_cuda_functions() {
  using namespace p3d;
#define P3D_FUNCTION(name) &cuda::name,
#define P3D_FLOAT(name) &cuda::name<float>,
#define P3D_DOUBLE(name) &cuda::name<double>,
  static const cuda::Functions functions = {
      cuda::kFunctionsVersion,
      sizeof(cuda::Functions),
      P3D_CUDA_FUNCTIONS(P3D_FUNCTION){P3D_CUDA_KERNELS(P3D_FLOAT)},
      {P3D_CUDA_KERNELS(P3D_DOUBLE)}};
  return &functions;
}
