#include "kernels/pixels_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

// A thread has all channels of a pixel, so that neighbours read neighbours.
template <typename Value>
struct PixelKernel {
  int64_t channels, pixels, means;
  const uint8_t* x;
  const float *mean, *scale;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t n = Quotient(place, pixels), p = place - n * pixels;
    const int64_t of_mean = p - Quotient(p, means) * means;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t plane = n * channels + c;
      const float value = x[plane * pixels + p];
      const float center = mean[plane * means + of_mean];
      const float factor = scale[plane];
      y[place * channels + c] =
          factor < 0 ? (center - value) * -factor : (value - center) * factor;
    }
  }
};

}  // namespace

template <typename Value>
void PixelsToChannelsLast(CUstream_st* stream, const Geometry& g,
                          const uint8_t* x, int64_t means, const float* mean,
                          const float* scale, Value* y) {
  ForEach(stream, "PixelsToChannelsLast", g.num * g.pixels,
          PixelKernel<Value>{g.channels, g.pixels, means, x, mean, scale, y});
}

#define P3D_INSTANTIATE(Value)                                              \
  template void PixelsToChannelsLast(CUstream_st*, const Geometry&,         \
                                     const uint8_t*, int64_t, const float*, \
                                     const float*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
