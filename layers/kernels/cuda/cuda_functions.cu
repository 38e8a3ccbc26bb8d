#include "kernels/cuda/cuda_functions.hpp"

extern "C" const p3d::cuda::Functions* p3d_cuda_functions() {
#define P3D_ENTRY(function) &function,
  static const p3d::cuda::Functions functions = P3D_CUDA_TABLE;
  return &functions;
}
