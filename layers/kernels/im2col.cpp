#include "kernels/im2col.hpp"

#include <algorithm>

#include "kernels/thread_pool.hpp"

namespace p3d {
namespace {

// Writes, for axes [axis, ...) of one channel, what tap `tap` (counted through
// those axes) sees, and returns where to go on. x null: all is padding.
template <typename Dtype>
Dtype* WriteTap(const ConvShape& shape, size_t axis, int64_t tap,
                const Dtype* x, Dtype* y) {
  if (axis == shape.axes.size()) {
    *y = x ? *x : Dtype(0);
    return y + 1;
  }
  const ConvAxis& a = shape.axes[axis];
  int64_t taps_below = 1, pixels_below = 1;
  for (size_t i = axis + 1; i < shape.axes.size(); ++i) {
    taps_below *= shape.axes[i].kernel;
    pixels_below *= shape.axes[i].in;
  }
  const int64_t k = tap / taps_below;
  for (int64_t p = 0; p < a.out(); ++p) {
    int64_t at = p * a.stride - a.pad_begin + k * a.dilation;
    if (shape.pad_mode == PadMode::kReplicate) {
      at = std::max<int64_t>(0, std::min(at, a.in - 1));
    }
    const bool inside = x && at >= 0 && at < a.in;
    y = WriteTap(shape, axis + 1, tap % taps_below,
                 inside ? x + at * pixels_below : nullptr, y);
  }
  return y;
}

}  // namespace

template <typename Dtype>
void Im2col(const ConvShape& shape, const Dtype* x, Dtype* y) {
  const int64_t taps = shape.taps();
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  ParallelFor(shape.num * shape.channels, [&](int64_t plane) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      WriteTap(shape, 0, tap, x + plane * in, y + (plane * taps + tap) * out);
    }
  });
}

template void Im2col(const ConvShape&, const float*, float*);
template void Im2col(const ConvShape&, const double*, double*);

}  // namespace p3d
