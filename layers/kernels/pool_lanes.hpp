#ifndef P3D_KERNELS_POOL_LANES_HPP_
#define P3D_KERNELS_POOL_LANES_HPP_

#include <cfloat>
#include <cstdint>

#include "kernels/pool_windows.hpp"

namespace p3d {

// The maxima of one window for kLanes of `step` channels, which are innermost:
// pixel p of lane i is x[p * step + i]. Every loop has a fixed length, so that
// any compiler can use vector instructions; one above 16 is not unrolled first.

template <int kLanes, typename Dtype>
void MaxLanes(const PoolRow& row, const PoolRange& range, int64_t step,
              const Dtype* x, Dtype* y) {
  Dtype best[kLanes];
  for (int i = 0; i < kLanes; ++i) best[i] = static_cast<Dtype>(-FLT_MAX);
  ForEachPixel(row, range, [&](int64_t pixel) {
    const Dtype* in = x + pixel * step;
    for (int i = 0; i < kLanes; ++i) {
      best[i] = in[i] > best[i] ? in[i] : best[i];
    }
  });
  for (int i = 0; i < kLanes; ++i) y[i] = best[i];
}

// Also the pixel (of lane 0) of each maximum, -1 where there is none.
template <int kLanes, typename Dtype>
void MaxAndPlaceLanes(const PoolRow& row, const PoolRange& range, int64_t step,
                      const Dtype* x, Dtype* y, Dtype* mask) {
  Dtype best[kLanes], places[kLanes];
  for (int i = 0; i < kLanes; ++i) best[i] = static_cast<Dtype>(-FLT_MAX);
  for (int i = 0; i < kLanes; ++i) places[i] = -1;
  ForEachPixel(row, range, [&](int64_t pixel) {
    const Dtype* in = x + pixel * step;
    const Dtype place = static_cast<Dtype>(pixel);
    // One loop for both would be left to scalar instructions.
    for (int i = 0; i < kLanes; ++i) {
      places[i] = in[i] > best[i] ? place : places[i];
    }
    for (int i = 0; i < kLanes; ++i) {
      best[i] = in[i] > best[i] ? in[i] : best[i];
    }
  });
  for (int i = 0; i < kLanes; ++i) y[i] = best[i];
  for (int i = 0; i < kLanes; ++i) mask[i] = places[i];
}

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_LANES_HPP_
