#ifndef P3D_KERNELS_IM2COL_CUDA_HPP_
#define P3D_KERNELS_IM2COL_CUDA_HPP_

#include "kernels/conv/conv.hpp"
#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of im2col.hpp on a GPU, of up to three spatial axes: the same
// formulas and, but for values of 16 bits, whose sums are floats, the same
// bits. Arrays lie in device memory. Each call is put into the stream and not
// waited for; what cannot be launched throws Error.

template <typename Value>
void Im2col(CUstream_st* stream, const ConvShape& shape, const Value* x,
            Value* y);

template <typename Value>
void Im2colBackward(CUstream_st* stream, const ConvShape& shape,
                    const Value* dy, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_IM2COL_CUDA_HPP_
