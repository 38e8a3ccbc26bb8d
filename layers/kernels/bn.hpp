#ifndef P3D_KERNELS_BN_HPP_
#define P3D_KERNELS_BN_HPP_

#include <cstdint>

#include "kernels/order.hpp"

namespace p3d {

// Mean and biased variance of every channel c of x over all n and p:
//
//   mean[c] = 1/m sum x[n, c, p],  variance[c] = 1/m sum (x[n, c, p] -
//   mean[c])^2
//
// with m = num * pixels >= 1. One pass in double over the distances from the
// channel's first value, which loses nothing where the mean is far from 0. The
// result does not depend on the number of threads.
template <typename Dtype>
void ChannelStatistics(const Geometry& geometry, Order order, const Dtype* x,
                       double* mean, double* variance);

// What ScaleShift needs to compute slope (x - mean) deviation^-1 + bias:
//
//   center = mean, scale = slope / deviation, shift = bias
//
// each for `count` channels and rounded once; what rounding takes from the mean
// goes to the shift. A null slope or bias stands for 1 or 0.
template <typename Dtype>
void NormalizeCoefficients(int64_t count, const double* mean,
                           const double* deviation, const Dtype* slope,
                           const Dtype* bias, Dtype* center, Dtype* scale,
                           Dtype* shift);

// y = slope (x - mean) / deviation + bias, per channel, with coefficients as
// above. y may be x. With ChannelStatistics before it, a training forward reads
// x twice and writes y once.
template <typename Dtype>
void Normalize(const Geometry& geometry, Order order, const double* mean,
               const double* deviation, const Dtype* slope, const Dtype* bias,
               const Dtype* x, Dtype* y);

// The gradients of Normalize where mean and deviation = sqrt(variance + eps)
// follow x, with t = (x - mean) / deviation and m = num * pixels:
//
//   dslope[c] += sum dy t
//   dbias[c] += sum dy
//   dx = slope / deviation (dy - 1/m sum dy - t/m sum dy t)
//
// summed in double. A null slope stands for 1; a null dslope, dbias or dx is
// not wanted. dx may be dy, but not x.
template <typename Dtype>
void NormalizeBackward(const Geometry& geometry, Order order,
                       const double* mean, const double* deviation,
                       const Dtype* slope, const Dtype* x, const Dtype* dy,
                       Dtype* dslope, Dtype* dbias, Dtype* dx);

// The gradient where they are constants: dx = dy slope / deviation. dx may be
// dy.
template <typename Dtype>
void NormalizeBackwardFrozen(const Geometry& geometry, Order order,
                             const double* deviation, const Dtype* slope,
                             const Dtype* dy, Dtype* dx);

// running[c] = momentum * running[c] + weight * batch[c]
template <typename Dtype>
void UpdateRunning(int64_t count, double momentum, double weight,
                   const double* batch, Dtype* running);

}  // namespace p3d

#endif  // P3D_KERNELS_BN_HPP_
