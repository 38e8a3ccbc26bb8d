#ifndef P3D_KERNELS_POOL_HPP_
#define P3D_KERNELS_POOL_HPP_

#include <cstdint>
#include <vector>

#include "kernels/order.hpp"

namespace p3d {

// One spatial axis of a pooling, in elements.
struct PoolAxis {
  int64_t in = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t pad = 0;  // on both sides
  int64_t out = 0;  // set by SetPoolOutputs
};

// What does not fill a stride at the end of an axis: one more window, or none.
enum class PoolRounding { kCeil, kFloor };

// Window o of an axis begins at o * stride - pad and covers `kernel` elements.
// Caffe's rules:
//
//   out = ceil or floor((in + 2 pad - kernel) / stride) + 1
//
// and where the pad of ANY axis is not 0, an axis' last window is dropped if it
// would begin at in + pad or later. So without padding a window may lie outside
// the input, if the stride is larger than the kernel.
struct PoolShape {
  int64_t num = 1;
  int64_t channels = 1;
  std::vector<PoolAxis> axes;  // in Caffe's order: l, h, w

  int64_t in_pixels() const;
  int64_t out_pixels() const;
};

// Computes every axis' `out`. Throws Error for sizes below 1, a pad that is not
// smaller than its kernel (while any pad is not 0), and an axis that leaves no
// output.
void SetPoolOutputs(PoolRounding rounding, PoolShape* shape);

// x is (num, in..., channels) or, in Caffe's order, (num, channels, in...); y
// likewise with out. y never overlaps x.

// y = the largest value of the window, -FLT_MAX where the window is empty or
// holds nothing larger. `mask`, unless null, gets the place of that value among
// the image's pixels, counted through the axes, as a number: the first one in
// the order l, h, w; -1 where there is none.
template <typename Dtype>
void MaxPool(const PoolShape& shape, Order order, const Dtype* x, Dtype* y,
             Dtype* mask);

// y = the sum of the window divided by the size that it has when it is clipped
// to the padded input; 0 where it is empty.
template <typename Dtype>
void AveragePool(const PoolShape& shape, Order order, const Dtype* x, Dtype* y);

// y = a value of the window drawn with a probability in proportion to it: the
// first in the order l, h, w at which the running sum reaches a uniform random
// share of the whole sum. Meant for values >= 0, as behind a ReLU. `mask` as in
// MaxPool.
template <typename Dtype>
void StochasticPool(const PoolShape& shape, Order order, uint64_t seed,
                    const Dtype* x, Dtype* y, Dtype* mask);

// y = sum of squares / sum, the expectation of the above; 0 unless the sum is
// positive.
template <typename Dtype>
void StochasticPoolMean(const PoolShape& shape, Order order, const Dtype* x,
                        Dtype* y);

// The gradients, which fill dx = 0 + ...; dx never overlaps dy or mask. Results
// do not depend on the number of threads.

// Of MaxPool and StochasticPool: dx[mask] += dy, and nothing for a mask that
// names no pixel of the image, as -1 does. Throws Error for images of more
// pixels than a Dtype can count.
template <typename Dtype>
void MaskedPoolBackward(const PoolShape& shape, Order order, const Dtype* mask,
                        const Dtype* dy, Dtype* dx);

// Throws Error for images of more pixels than a mask of Dtype can count.
template <typename Dtype>
void CheckPoolMask(const PoolShape& shape);

// Of AveragePool: every pixel of the window gets dy / (the size by which
// AveragePool divided).
template <typename Dtype>
void AveragePoolBackward(const PoolShape& shape, Order order, const Dtype* dy,
                         Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_HPP_
