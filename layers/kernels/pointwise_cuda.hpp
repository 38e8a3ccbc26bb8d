#ifndef P3D_KERNELS_POINTWISE_CUDA_HPP_
#define P3D_KERNELS_POINTWISE_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Those functions of pointwise.hpp on a GPU that video nets need.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

template <typename Value>
void Relu(CUstream_st* stream, const Value* x, int64_t count,
          RealOf<Value> negative_slope, Value* y);

template <typename Value>
void ReluBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, RealOf<Value> negative_slope, Value* dx);

template <typename Dtype>
void Sigmoid(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y);

template <typename Dtype>
void SigmoidBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                     int64_t count, Dtype* dx);

template <typename Dtype>
void Tanh(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y);

template <typename Dtype>
void TanhBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                  int64_t count, Dtype* dx);

template <typename Dtype>
void Prelu(CUstream_st* stream, const Geometry& geometry, Order order,
           const Dtype* x, const Dtype* slope, Dtype* y);

// `scratch` is memory for the length of a call: PreluScratchSize doubles. It
// may be null where dslope is.
int64_t PreluScratchSize(const Geometry& geometry, Order order);
template <typename Dtype>
void PreluBackward(CUstream_st* stream, const Geometry& geometry, Order order,
                   const Dtype* x, const Dtype* slope, const Dtype* dy,
                   double* scratch, Dtype* dslope, Dtype* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_POINTWISE_CUDA_HPP_
