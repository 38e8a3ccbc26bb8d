#ifndef P3D_KERNELS_POINTWISE_CUDA_HPP_
#define P3D_KERNELS_POINTWISE_CUDA_HPP_

#include <cstdint>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Those functions of pointwise.hpp on a GPU that P3D nets need.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

template <typename Dtype>
void Relu(CUstream_st* stream, const Dtype* x, int64_t count,
          Dtype negative_slope, Dtype* y);

template <typename Dtype>
void ReluBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                  int64_t count, Dtype negative_slope, Dtype* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_POINTWISE_CUDA_HPP_
