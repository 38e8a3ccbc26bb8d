#ifndef P3D_KERNELS_AFFINE_CUDA_HPP_
#define P3D_KERNELS_AFFINE_CUDA_HPP_

#include <cstdint>

#include "kernels/affine.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of affine.hpp on a GPU: the same formulas, sums in double in
// one order always. Arrays lie in device memory. Each call is put into the
// stream and not waited for; what cannot be launched throws Error.

template <typename Dtype>
void ScaleShift(CUstream_st* stream, const Broadcast& shape,
                const Dtype* center, const Dtype* scale, const Dtype* shift,
                const Dtype* x, Dtype* y);

template <typename Dtype>
void ScaleShiftGradients(CUstream_st* stream, const Broadcast& shape,
                         const Dtype* x, const Dtype* dy, Dtype* dscale,
                         Dtype* dshift);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_AFFINE_CUDA_HPP_
