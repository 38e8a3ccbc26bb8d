#ifndef P3D_KERNELS_POSITIONS_CUDA_HPP_
#define P3D_KERNELS_POSITIONS_CUDA_HPP_

#include <algorithm>
#include <cstdint>

#include "kernels/axis_view.hpp"
#include "kernels/cuda/cuda_launch.hpp"

namespace p3d {
namespace cuda {

// The position o * inner + i of value [o, c, i], which lies at `at`.
P3D_HOST_DEVICE inline int64_t Position(const AxisView& view, int64_t at,
                                        int64_t c) {
  const int64_t o = Quotient(at, view.channels * view.inner);
  return at - (o * (view.channels - 1) + c) * view.inner;
}

// A block's lanes share out `width` neighbouring positions, as many as read
// whole lines of memory or have work for all lanes; each lane takes some of one
// position's channels.
struct Positions {
  explicit Positions(const AxisView& view) : view(view) {
    while (width < kThreads && (width * view.channels < kThreads ||
                                width < std::min<int64_t>(view.inner, 32))) {
      width *= 2;
    }
  }
  int64_t count() const { return view.outer * view.inner; }
  int64_t rows() const { return (count() + width - 1) / width; }

  // The lane's position, or -1.
  P3D_HOST_DEVICE int64_t Of(int64_t row, int64_t lane) const {
    const int64_t position = row * width + lane - Quotient(lane, width) * width;
    return position < view.outer * view.inner ? position : -1;
  }
  // Where its channel 0 lies; as view.start does.
  P3D_HOST_DEVICE int64_t Start(int64_t position) const {
    const int64_t o = Quotient(position, view.inner);
    return position + o * (view.channels - 1) * view.inner;
  }
  // body(i) for every value that is the lane's.
  template <typename Body>
  P3D_HOST_DEVICE void ForEach(int64_t row, int64_t lane,
                               const Body& body) const {
    const int64_t position = Of(row, lane);
    if (position < 0) return;
    const int64_t start = Start(position);
    ForEachChannel(lane, [&](int64_t c) { body(start + c * view.inner); });
  }
  // body(c) for every channel that is.
  template <typename Body>
  P3D_HOST_DEVICE void ForEachChannel(int64_t lane, const Body& body) const {
    P3D_UNROLL_1
    for (int64_t c = Quotient(lane, width); c < view.channels;
         c += Quotient(kThreads, width)) {
      body(c);
    }
  }

  AxisView view;
  int width = 1;
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_POSITIONS_CUDA_HPP_
