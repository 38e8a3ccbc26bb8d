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

template <typename Dtype>
void Abs(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y);

template <typename Dtype>
void Bnll(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y);

template <typename Dtype>
void Clip(CUstream_st* stream, const Dtype* x, int64_t count, Dtype least,
          Dtype most, Dtype* y);

template <typename Dtype>
void Elu(CUstream_st* stream, const Dtype* x, int64_t count, Dtype alpha,
         Dtype* y);

template <typename Dtype>
void Exp(CUstream_st* stream, const Dtype* x, int64_t count, Dtype scale,
         Dtype factor, Dtype* y);

template <typename Dtype>
void Log(CUstream_st* stream, const Dtype* x, int64_t count, Dtype scale,
         Dtype shift, Dtype factor, Dtype* y);

template <typename Dtype>
void Power(CUstream_st* stream, const Dtype* x, int64_t count, Dtype power,
           Dtype scale, Dtype shift, Dtype* y);

template <typename Dtype>
void Sigmoid(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y);

template <typename Dtype>
void Swish(CUstream_st* stream, const Dtype* x, int64_t count, Dtype beta,
           Dtype* y);

template <typename Dtype>
void Tanh(CUstream_st* stream, const Dtype* x, int64_t count, Dtype* y);

template <typename Dtype>
void Threshold(CUstream_st* stream, const Dtype* x, int64_t count,
               Dtype threshold, Dtype* y);

template <typename Dtype>
void AbsBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                 int64_t count, Dtype* dx);

template <typename Dtype>
void BnllBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                  int64_t count, Dtype* dx);

template <typename Dtype>
void ClipBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                  int64_t count, Dtype least, Dtype most, Dtype* dx);

template <typename Dtype>
void EluBackward(CUstream_st* stream, const Dtype* x, const Dtype* y,
                 const Dtype* dy, int64_t count, Dtype alpha, Dtype* dx);

template <typename Dtype>
void ExpBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                 int64_t count, Dtype scale, Dtype* dx);

template <typename Dtype>
void LogBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                 int64_t count, Dtype scale, Dtype shift, Dtype factor,
                 Dtype* dx);

template <typename Dtype>
void PowerBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                   int64_t count, Dtype power, Dtype scale, Dtype shift,
                   Dtype* dx);

template <typename Dtype>
void SigmoidBackward(CUstream_st* stream, const Dtype* y, const Dtype* dy,
                     int64_t count, Dtype* dx);

template <typename Dtype>
void SwishBackward(CUstream_st* stream, const Dtype* x, const Dtype* dy,
                   int64_t count, Dtype beta, Dtype* dx);

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
