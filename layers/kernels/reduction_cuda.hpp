#ifndef P3D_KERNELS_REDUCTION_CUDA_HPP_
#define P3D_KERNELS_REDUCTION_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/reduction.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of reduction.hpp on a GPU: the same formulas, sums in double in
// one order always. What comes of a row is no Value: there are few of them, and
// they may be large. Arrays lie in device memory. Each call is put into the
// stream and not waited for; what cannot be launched throws Error.

// `scratch` is memory for the length of a call: SumsScratchSize({1, rows,
// width}) doubles, see affine_cuda.hpp.
template <typename Value>
void ReduceRows(CUstream_st* stream, Reduction reduction, int64_t rows,
                int64_t width, const Value* x, RealOf<Value> factor,
                double* scratch, RealOf<Value>* y);

template <typename Value>
void ReduceRowsBackward(CUstream_st* stream, Reduction reduction, int64_t rows,
                        int64_t width, const Value* x, RealOf<Value> factor,
                        const RealOf<Value>* dy, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_REDUCTION_CUDA_HPP_
