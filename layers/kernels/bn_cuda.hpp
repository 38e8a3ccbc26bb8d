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

// --- for ranks (see nccl_cuda.hpp) whose statistics are those of all their
// batches. What is told of one is 2 channels + 1 doubles:
//
//   mean of each channel, variance of each, number of values per channel

// ChannelStatistics of this rank.
template <typename Value>
void RankStatistics(CUstream_st* stream, const Geometry& geometry, Order order,
                    const Value* x, double* scratch, double* own);

// joined = the statistics of all values together, from those of each rank, one
// behind the other. As exact as in one pass: means are not squared.
void JoinStatistics(CUstream_st* stream, int64_t ranks, int64_t channels,
                    const double* all, double* joined);

// NormalizeBackward in two steps, so that ranks can add up their sums before
// dx. dslope and dbias are of this rank's values alone.
//
//   sums[c] = sum dy, sums[channels + c] = sum dy (x - mean)
template <typename Value>
void NormalizeBackwardSums(CUstream_st* stream, const Geometry& geometry,
                           Order order, const double* mean,
                           const double* deviation, const Value* x,
                           const Value* dy, double* scratch,
                           RealOf<Value>* dslope, RealOf<Value>* dbias,
                           double* sums);

// dx from the sums over *m values; may be dy, but not x.
template <typename Value>
void NormalizeBackwardJoint(CUstream_st* stream, const Geometry& geometry,
                            Order order, const double* mean,
                            const double* deviation, const RealOf<Value>* slope,
                            const double* sums, const double* m, const Value* x,
                            const Value* dy, double* scratch, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_BN_CUDA_HPP_
