#ifndef P3D_KERNELS_POINTWISE_CUDA_HPP_
#define P3D_KERNELS_POINTWISE_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of pointwise.hpp on a GPU. Arrays lie in device memory. Each
// call is put into the stream and not waited for; what cannot be launched
// throws Error.

template <typename Value>
void Relu(CUstream_st* stream, const Value* x, int64_t count,
          RealOf<Value> negative_slope, Value* y);

template <typename Value>
void ReluBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, RealOf<Value> negative_slope, Value* dx);

template <typename Value>
void Abs(CUstream_st* stream, const Value* x, int64_t count, Value* y);

template <typename Value>
void Bnll(CUstream_st* stream, const Value* x, int64_t count, Value* y);

template <typename Value>
void Clip(CUstream_st* stream, const Value* x, int64_t count,
          RealOf<Value> least, RealOf<Value> most, Value* y);

template <typename Value>
void Elu(CUstream_st* stream, const Value* x, int64_t count,
         RealOf<Value> alpha, Value* y);

template <typename Value>
void Exp(CUstream_st* stream, const Value* x, int64_t count,
         RealOf<Value> scale, RealOf<Value> factor, Value* y);

template <typename Value>
void Log(CUstream_st* stream, const Value* x, int64_t count,
         RealOf<Value> scale, RealOf<Value> shift, RealOf<Value> factor,
         Value* y);

template <typename Value>
void Power(CUstream_st* stream, const Value* x, int64_t count,
           RealOf<Value> power, RealOf<Value> scale, RealOf<Value> shift,
           Value* y);

template <typename Value>
void Sigmoid(CUstream_st* stream, const Value* x, int64_t count, Value* y);

template <typename Value>
void Swish(CUstream_st* stream, const Value* x, int64_t count,
           RealOf<Value> beta, Value* y);

template <typename Value>
void Tanh(CUstream_st* stream, const Value* x, int64_t count, Value* y);

template <typename Value>
void Threshold(CUstream_st* stream, const Value* x, int64_t count,
               RealOf<Value> threshold, Value* y);

template <typename Value>
void AbsBackward(CUstream_st* stream, const Value* x, const Value* dy,
                 int64_t count, Value* dx);

template <typename Value>
void BnllBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, Value* dx);

template <typename Value>
void ClipBackward(CUstream_st* stream, const Value* x, const Value* dy,
                  int64_t count, RealOf<Value> least, RealOf<Value> most,
                  Value* dx);

template <typename Value>
void EluBackward(CUstream_st* stream, const Value* x, const Value* y,
                 const Value* dy, int64_t count, RealOf<Value> alpha,
                 Value* dx);

template <typename Value>
void ExpBackward(CUstream_st* stream, const Value* y, const Value* dy,
                 int64_t count, RealOf<Value> scale, Value* dx);

template <typename Value>
void LogBackward(CUstream_st* stream, const Value* x, const Value* dy,
                 int64_t count, RealOf<Value> scale, RealOf<Value> shift,
                 RealOf<Value> factor, Value* dx);

template <typename Value>
void PowerBackward(CUstream_st* stream, const Value* x, const Value* dy,
                   int64_t count, RealOf<Value> power, RealOf<Value> scale,
                   RealOf<Value> shift, Value* dx);

template <typename Value>
void SigmoidBackward(CUstream_st* stream, const Value* y, const Value* dy,
                     int64_t count, Value* dx);

template <typename Value>
void SwishBackward(CUstream_st* stream, const Value* x, const Value* dy,
                   int64_t count, RealOf<Value> beta, Value* dx);

template <typename Value>
void TanhBackward(CUstream_st* stream, const Value* y, const Value* dy,
                  int64_t count, Value* dx);

template <typename Value>
void Prelu(CUstream_st* stream, const Geometry& geometry, Order order,
           const Value* x, const RealOf<Value>* slope, Value* y);

// `scratch` is memory for the length of a call: SumsScratchSize doubles for the
// channels (see affine_cuda.hpp). It may be null where dslope is.
template <typename Value>
void PreluBackward(CUstream_st* stream, const Geometry& geometry, Order order,
                   const Value* x, const RealOf<Value>* slope, const Value* dy,
                   double* scratch, RealOf<Value>* dslope, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_POINTWISE_CUDA_HPP_
