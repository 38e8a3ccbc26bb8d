#ifndef P3D_KERNELS_SOFTMAX_CUDA_HPP_
#define P3D_KERNELS_SOFTMAX_CUDA_HPP_

#include <cstdint>

#include "kernels/axis_view.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of softmax.hpp on a GPU: the same formulas.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

template <typename Dtype>
void Softmax(CUstream_st* stream, const AxisView& view, const Dtype* x,
             Dtype* y);

template <typename Dtype>
void SoftmaxBackward(CUstream_st* stream, const AxisView& view, const Dtype* y,
                     const Dtype* dy, Dtype* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_SOFTMAX_CUDA_HPP_
