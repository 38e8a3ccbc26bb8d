#ifndef P3D_KERNELS_PIXELS_CUDA_HPP_
#define P3D_KERNELS_PIXELS_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Pixels of 8 bits in Caffe's order become values channels last:
//
//   y[n, p, c] = (x[n, c, p] - mean[n, c, p mod means]) * scale[n, c]
//
// in float, then rounded where values take 16 bits. With a negative scale it is
// (mean - x) * -scale: the same, but for the sign of 0. `means` divides pixels.
// Arrays lie in device memory. The call is put into the stream and not waited
// for; what cannot be launched throws Error.
template <typename Value>
void PixelsToChannelsLast(CUstream_st* stream, const Geometry& geometry,
                          const uint8_t* x, int64_t means, const float* mean,
                          const float* scale, Value* y);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_PIXELS_CUDA_HPP_
