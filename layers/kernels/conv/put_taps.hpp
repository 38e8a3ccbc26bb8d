#ifndef P3D_KERNELS_PUT_TAPS_HPP_
#define P3D_KERNELS_PUT_TAPS_HPP_

#include <cstdint>

namespace p3d {

// Weights of `count` input channels, or their gradients, side by side for one
// tap after the other.
struct TapRows {
  const float* data;
  int64_t pitch;  // from tap to tap
  int64_t taps;
  int64_t count;
};

// To Caffe's order, or added to what is there:
//
//   to[i * taps + k] = or += data[k * pitch + i]
void PutTaps(const TapRows& rows, float* to, bool add);

}  // namespace p3d

#endif  // P3D_KERNELS_PUT_TAPS_HPP_
