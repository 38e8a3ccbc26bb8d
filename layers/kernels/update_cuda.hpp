#ifndef P3D_KERNELS_UPDATE_CUDA_HPP_
#define P3D_KERNELS_UPDATE_CUDA_HPP_

#include <cstdint>

#include "kernels/update.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of update.hpp on a GPU: the same rules, sums in one order
// always.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

// *finite becomes false where a weight is not finite now, else stays as it is.
template <typename Dtype>
void Update(CUstream_st* stream, const UpdateStep& step, int64_t count,
            Dtype* w, Dtype* g, Dtype* a, Dtype* b, bool* finite);

// *sum = the sum of x[i]^2. `scratch` is memory for the length of a call:
// SumOfSquaresScratchSize doubles.
int64_t SumOfSquaresScratchSize(int64_t count);
template <typename Dtype>
void SumOfSquares(CUstream_st* stream, int64_t count, const Dtype* x,
                  double* scratch, double* sum);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_UPDATE_CUDA_HPP_
