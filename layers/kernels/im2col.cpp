#include "kernels/im2col.hpp"

#include <algorithm>

#include "kernels/cpu/thread_pool.hpp"

namespace p3d {
namespace {

// Calls visit(place) for what tap `tap` (counted through axes [axis, ...)) of
// one channel sees at every output pixel, in their order; -1 is padding.
template <typename Visit>
void VisitTap(const ConvShape& shape, size_t axis, int64_t tap, int64_t place,
              const Visit& visit) {
  if (axis == shape.axes.size()) return visit(place);
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
    const bool inside = place >= 0 && at >= 0 && at < a.in;
    VisitTap(shape, axis + 1, tap % taps_below,
             inside ? place + at * pixels_below : -1, visit);
  }
}

}  // namespace

template <typename Dtype>
void Im2col(const ConvShape& shape, const Dtype* x, Dtype* y) {
  const int64_t taps = shape.taps();
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  ParallelFor(shape.num * shape.channels, [&](int64_t plane) {
    const Dtype* from = x + plane * in;
    Dtype* to = y + plane * taps * out;
    for (int64_t tap = 0; tap < taps; ++tap) {
      VisitTap(shape, 0, tap, 0, [&](int64_t place) {
        *to++ = place < 0 ? Dtype(0) : from[place];
      });
    }
  });
}

template <typename Dtype>
void Im2colBackward(const ConvShape& shape, const Dtype* dy, Dtype* dx) {
  const int64_t taps = shape.taps();
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  ParallelFor(shape.num * shape.channels, [&](int64_t plane) {
    const Dtype* from = dy + plane * taps * out;
    Dtype* to = dx + plane * in;
    std::fill(to, to + in, Dtype(0));
    for (int64_t tap = 0; tap < taps; ++tap) {
      VisitTap(shape, 0, tap, 0, [&](int64_t place) {
        if (place >= 0) to[place] += *from;
        ++from;
      });
    }
  });
}

template void Im2col(const ConvShape&, const float*, float*);
template void Im2col(const ConvShape&, const double*, double*);
template void Im2colBackward(const ConvShape&, const float*, float*);
template void Im2colBackward(const ConvShape&, const double*, double*);

}  // namespace p3d
