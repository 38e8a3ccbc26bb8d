#ifndef P3D_KERNELS_BN_CUDA_HPP_
#define P3D_KERNELS_BN_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of bn.hpp on a GPU: the same formulas, also with sums in
// double. Those are added up in one order always, though not in the CPU's.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.
//
// `scratch` is memory for the length of a call: BnScratchSize doubles, or as
// few as NormalizeScratchSize for Normalize and NormalizeBackwardFrozen.
int64_t BnScratchSize(const Geometry& geometry, Order order);
int64_t NormalizeScratchSize(int64_t channels);

template <typename Value>
void ChannelStatistics(CUstream_st* stream, const Geometry& geometry,
                       Order order, const Value* x, double* scratch,
                       double* mean, double* variance);

template <typename Value>
void Normalize(CUstream_st* stream, const Geometry& geometry, Order order,
               const double* mean, const double* deviation,
               const RealOf<Value>* slope, const RealOf<Value>* bias,
               const Value* x, double* scratch, Value* y);

template <typename Value>
void NormalizeBackward(CUstream_st* stream, const Geometry& geometry,
                       Order order, const double* mean, const double* deviation,
                       const RealOf<Value>* slope, const Value* x,
                       const Value* dy, double* scratch, RealOf<Value>* dslope,
                       RealOf<Value>* dbias, Value* dx);

template <typename Value>
void NormalizeBackwardFrozen(CUstream_st* stream, const Geometry& geometry,
                             Order order, const double* deviation,
                             const RealOf<Value>* slope, const Value* dy,
                             double* scratch, Value* dx);

template <typename Dtype>
void UpdateRunning(CUstream_st* stream, int64_t count, double momentum,
                   double weight, const double* batch, Dtype* running);

// What Normalize takes, from statistics of either type:
//
//   center[c] = mean[c], deviation[c] = sqrt(variance[c] + eps)
//
// The results may be the arguments.
template <typename Dtype>
void Moments(CUstream_st* stream, int64_t count, double eps, const Dtype* mean,
             const Dtype* variance, double* center, double* deviation);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_BN_CUDA_HPP_
