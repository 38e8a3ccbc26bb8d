#ifndef P3D_KERNELS_POOL_CUDA_HPP_
#define P3D_KERNELS_POOL_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/pool.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of pool.hpp on a GPU: the same formulas, orders and random
// draws, of up to three spatial axes. Averages, and their gradients, are
// products with the reciprocal of the window's size, in double: the last bit
// may not be the CPU's. Arrays lie in device memory. Each call is
// put into the stream and not waited for; what cannot be launched throws Error.

template <typename Value>
void MaxPool(CUstream_st* stream, const PoolShape& shape, Order order,
             const Value* x, Value* y, RealOf<Value>* mask);

template <typename Value>
void AveragePool(CUstream_st* stream, const PoolShape& shape, Order order,
                 const Value* x, Value* y);

template <typename Dtype>
void StochasticPool(CUstream_st* stream, const PoolShape& shape, Order order,
                    uint64_t seed, const Dtype* x, Dtype* y, Dtype* mask);

template <typename Dtype>
void StochasticPoolMean(CUstream_st* stream, const PoolShape& shape,
                        Order order, const Dtype* x, Dtype* y);

// Backward, every input gathers from the windows that cover it, in the order
// l, h, w: the result never varies.

template <typename Value>
void MaskedPoolBackward(CUstream_st* stream, const PoolShape& shape,
                        Order order, const RealOf<Value>* mask, const Value* dy,
                        Value* dx);

template <typename Value>
void AveragePoolBackward(CUstream_st* stream, const PoolShape& shape,
                         Order order, const Value* dy, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_POOL_CUDA_HPP_
