#ifndef P3D_KERNELS_LRN_CUDA_HPP_
#define P3D_KERNELS_LRN_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of lrn.hpp on a GPU: the same formulas, sums and powers in
// RealOf<Value>. Arrays lie in device memory. Each call is put into the stream
// and not waited for; what cannot be launched throws Error.

// y may not be x.
template <typename Value>
void LrnAcrossChannels(CUstream_st* stream, int64_t rows, int64_t channels,
                       int64_t size, double k, double alpha, double beta,
                       const Value* x, Value* y);

template <typename Value>
void LrnSquares(CUstream_st* stream, int64_t count, const Value* x,
                RealOf<Value>* squares);

template <typename Value>
void LrnApply(CUstream_st* stream, int64_t count, double alpha, double beta,
              const RealOf<Value>* mean_square, const Value* x, Value* y);

// `scratch` is memory for the length of the call, as many values as x has.
template <typename Value>
void LrnAcrossChannelsBackward(CUstream_st* stream, int64_t rows,
                               int64_t channels, int64_t size, double k,
                               double alpha, double beta, const Value* x,
                               const Value* dy, RealOf<Value>* scratch,
                               Value* dx);

template <typename Value>
void LrnApplyBackward(CUstream_st* stream, int64_t count, double alpha,
                      double beta, const RealOf<Value>* mean_square,
                      const Value* x, const Value* dy,
                      RealOf<Value>* dmean_square, Value* dx);

template <typename Value>
void LrnSquaresBackward(CUstream_st* stream, int64_t count, const Value* x,
                        const RealOf<Value>* dsquares, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_LRN_CUDA_HPP_
