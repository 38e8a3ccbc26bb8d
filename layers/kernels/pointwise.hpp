#ifndef P3D_KERNELS_POINTWISE_HPP_
#define P3D_KERNELS_POINTWISE_HPP_

#include <cstdint>

#include "kernels/order.hpp"

namespace p3d {

// Functions of single values: y[i] = f(x[i]) for i < count, in any memory
// order. y may be x, but must not overlap it otherwise. A NaN stays a NaN where
// nothing else is said.

// |x|
template <typename Dtype>
void Abs(const Dtype* x, int64_t count, Dtype* y);

// log(1 + exp(x)), without overflow
template <typename Dtype>
void Bnll(const Dtype* x, int64_t count, Dtype* y);

// The value nearest to x in [least, most]; NaN becomes `least`, as in Caffe.
template <typename Dtype>
void Clip(const Dtype* x, int64_t count, Dtype least, Dtype most, Dtype* y);

// x for x > 0, else alpha * (exp(x) - 1)
template <typename Dtype>
void Elu(const Dtype* x, int64_t count, Dtype alpha, Dtype* y);

// factor * exp(scale * x)
template <typename Dtype>
void Exp(const Dtype* x, int64_t count, Dtype scale, Dtype factor, Dtype* y);

// factor * log(scale * x + shift)
template <typename Dtype>
void Log(const Dtype* x, int64_t count, Dtype scale, Dtype shift, Dtype factor,
         Dtype* y);

// (shift + scale * x) ^ power; NaN for a negative base and a broken power.
// Where power or scale is 0 the result is the same for all x, NaN included.
template <typename Dtype>
void Power(const Dtype* x, int64_t count, Dtype power, Dtype scale, Dtype shift,
           Dtype* y);

// max(x, 0) + negative_slope * min(x, 0); with slope 0 minus infinity gives 0
template <typename Dtype>
void Relu(const Dtype* x, int64_t count, Dtype negative_slope, Dtype* y);

// 1 / (1 + exp(-x))
template <typename Dtype>
void Sigmoid(const Dtype* x, int64_t count, Dtype* y);

// x / (1 + exp(-beta * x))
template <typename Dtype>
void Swish(const Dtype* x, int64_t count, Dtype beta, Dtype* y);

template <typename Dtype>
void Tanh(const Dtype* x, int64_t count, Dtype* y);

// 1 for x > threshold, else 0 (also for NaN)
template <typename Dtype>
void Threshold(const Dtype* x, int64_t count, Dtype threshold, Dtype* y);

// max(x, 0) + slope[c] * min(x, 0), one slope per channel, for a whole blob in
// the given order.
template <typename Dtype>
void Prelu(const Geometry& geometry, Order order, const Dtype* x,
           const Dtype* slope, Dtype* y);

// Their gradients: dx[i] = dy[i] f'(x[i]) from x, or from y = f(x) where that
// says it all. dx may be dy, x or y. At a corner the slope is the one of Caffe:
// the left one for Relu, Elu and Prelu, 0 for Abs, 1 on Clip's bounds.

template <typename Dtype>
void AbsBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype* dx);

template <typename Dtype>
void BnllBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype* dx);

template <typename Dtype>
void ClipBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype least,
                  Dtype most, Dtype* dx);

// From y = Elu(x); x only says where the corner is.
template <typename Dtype>
void EluBackward(const Dtype* x, const Dtype* y, const Dtype* dy, int64_t count,
                 Dtype alpha, Dtype* dx);

// From y.
template <typename Dtype>
void ExpBackward(const Dtype* y, const Dtype* dy, int64_t count, Dtype scale,
                 Dtype* dx);

template <typename Dtype>
void LogBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype scale,
                 Dtype shift, Dtype factor, Dtype* dx);

template <typename Dtype>
void PowerBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype power,
                   Dtype scale, Dtype shift, Dtype* dx);

template <typename Dtype>
void ReluBackward(const Dtype* x, const Dtype* dy, int64_t count,
                  Dtype negative_slope, Dtype* dx);

// From y.
template <typename Dtype>
void SigmoidBackward(const Dtype* y, const Dtype* dy, int64_t count, Dtype* dx);

template <typename Dtype>
void SwishBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype beta,
                   Dtype* dx);

// From y.
template <typename Dtype>
void TanhBackward(const Dtype* y, const Dtype* dy, int64_t count, Dtype* dx);

// dx as above, and dslope[c] += sum of dy min(x, 0). A null dx or dslope is not
// wanted.
template <typename Dtype>
void PreluBackward(const Geometry& geometry, Order order, const Dtype* x,
                   const Dtype* slope, const Dtype* dy, Dtype* dslope,
                   Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_POINTWISE_HPP_
