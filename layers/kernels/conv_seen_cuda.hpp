#ifndef P3D_KERNELS_CONV_SEEN_CUDA_HPP_
#define P3D_KERNELS_CONV_SEEN_CUDA_HPP_

// Which pixels the taps of a convolution pair up, so cheaply that a thread can
// follow several rows of a product: what a tap shifts is the same for every
// pixel, and what each pixel's taps see is one bit per place along an axis.
// Padding is zeros.

#include <cstdint>

#include "kernels/conv_problem_cuda.hpp"
#include "kernels/conv_tile_cuda.hpp"

namespace p3d {
namespace cuda {

// From a pixel of the output to the one of the input that its tap sees.
struct ToInput {
  static P3D_HOST_DEVICE int From(const Axis<int>& axis) { return axis.out; }
  static P3D_HOST_DEVICE int To(const Axis<int>& axis) { return axis.in; }
  // Tap k of place p is at Start(p) + Shift(k), if it sees anything.
  static P3D_HOST_DEVICE int Start(const Axis<int>& axis, int p) {
    return p * axis.stride - axis.pad;
  }
  static P3D_HOST_DEVICE int Shift(const Axis<int>& axis, int k) {
    return k * axis.dilation;
  }
  // Bit k is set where tap k of place p sees something.
  static P3D_HOST_DEVICE uint32_t Bits(const Axis<int>& axis, int p) {
    const int start = Start(axis, p);
    if (axis.dilation == 1) {
      const int first = Clamped(-start, axis.kernel),
                end = Clamped(axis.in - start, axis.kernel);
      return end > first ? (1u << end) - (1u << first) : 0;
    }
    uint32_t bits = 0;
    P3D_UNROLL_1
    for (int k = 0; k < axis.kernel; ++k)
      bits |= static_cast<uint32_t>(axis.Has(start + Shift(axis, k))) << k;
    return bits;
  }

 private:
  static P3D_HOST_DEVICE int Clamped(int value, int most) {
    return value < 0 ? 0 : value < most ? value : most;
  }
};

// And the way back, from the input to the output whose tap sees it: what is
// left of both divisions is the same where there is one.
struct ToOutput {
  static P3D_HOST_DEVICE int From(const Axis<int>& axis) { return axis.in; }
  static P3D_HOST_DEVICE int To(const Axis<int>& axis) { return axis.out; }
  static P3D_HOST_DEVICE int Start(const Axis<int>& axis, int q) {
    return (q + axis.pad) / axis.stride;
  }
  static P3D_HOST_DEVICE int Shift(const Axis<int>& axis, int k) {
    return -(k * axis.dilation / axis.stride);
  }
  static P3D_HOST_DEVICE uint32_t Bits(const Axis<int>& axis, int q) {
    uint32_t bits = 0;
    P3D_UNROLL_1
    for (int k = 0; k < axis.kernel; ++k)
      bits |= static_cast<uint32_t>(axis.SeenBy(q, k) >= 0) << k;
    return bits;
  }
};

// What is so of the rows of all threads.
struct RowSteps {
  Pixel<int> apart;  // how far a thread's rows lie apart, along the axes
  bool same;         // each sees the pixel of its own number alone
};

// What `count` rows see, pixels that lie apart, through one tap after another.
template <typename Way, typename Value, int count>
class SeenRows {
 public:
  // Whether a problem's taps have bits enough; one is left for those behind the
  // last.
  static bool Can(const Problem<int>& at) {
    return int64_t{at.l.kernel} + at.h.kernel + at.w.kernel <= 31;
  }

  static RowSteps Steps(const Problem<int>& at, int apart) {
    bool same = at.taps() == 1;
    for (const Axis<int>& axis : {at.l, at.h, at.w})
      same = same && axis.stride == 1 && axis.pad == 0 && axis.in == axis.out;
    return {{apart, Way::From(at.l), Way::From(at.h), Way::From(at.w)}, same};
  }

  // The rows from `row` on, each `apart` behind the one before: Steps(at,
  // apart). Without `along_w` taps see all there is along that axis, and beyond
  // it.
  P3D_HOST_DEVICE SeenRows(const Problem<int>& at, int row, int apart,
                           const RowSteps& steps, bool along_w = true) {
    const int length = Way::From(at.l), height = Way::From(at.h),
              width = Way::From(at.w);
    if (steps.same) {
      P3D_UNROLL
      for (int i = 0; i < count; ++i) {
        start_[i] = row + i * apart;
        seen_[i] =
            start_[i] < at.num * length * height * width ? ~(1u << 31) : 0;
      }
      return;
    }
    Pixel<int> p(row, length, height, width);
    P3D_UNROLL
    for (int i = 0; i < count; ++i) {
      if (i > 0) p.Add(steps.apart, length, height, width);
      const bool has = p.n < at.num;
      const int plane = p.n * Way::To(at.l) + Way::Start(at.l, p.l);
      const int line = plane * Way::To(at.h) + Way::Start(at.h, p.h);
      start_[i] = has ? line * Way::To(at.w) + Way::Start(at.w, p.w) : 0;
      seen_[i] = has ? All(at, p, along_w) : 0;
    }
  }

  // At the values of another tap, of images whose pixels have so many channels.
  // A row is to read `depth` of them.
  P3D_HOST_DEVICE void Aim(const Problem<int>& at, const Tap& tap,
                           const Value* images, int channels, int depth) {
    const int line =
        Way::Shift(at.l, tap.l) * Way::To(at.h) + Way::Shift(at.h, tap.h);
    const int shift = line * Way::To(at.w) + Way::Shift(at.w, tap.w);
    const uint32_t bits = tap.l >= at.l.kernel
                              ? 1u << 31
                              : 1u << tap.l | 1u << (at.l.kernel + tap.h) |
                                    1u << (at.l.kernel + at.h.kernel + tap.w);
    P3D_UNROLL
    for (int i = 0; i < count; ++i) {
      rows_[i] = images + int64_t{start_[i] + shift} * channels;
      ends_[i] = (~seen_[i] & bits) == 0 ? depth : 0;
    }
  }

  // Where row i reads, and how much: nothing where it sees nothing.
  P3D_HOST_DEVICE const Value* row(int i) const { return rows_[i]; }
  P3D_HOST_DEVICE int end(int i) const { return ends_[i]; }

 private:
  static P3D_HOST_DEVICE uint32_t All(const Problem<int>& at,
                                      const Pixel<int>& p, bool along_w) {
    const uint32_t along =
        along_w ? Way::Bits(at.w, p.w) : (1u << at.w.kernel) - 1;
    return Way::Bits(at.l, p.l) | Way::Bits(at.h, p.h) << at.l.kernel |
           along << (at.l.kernel + at.h.kernel);
  }

  int start_[count];  // pixels, counted through all images
  uint32_t seen_[count];
  const Value* rows_[count];
  int ends_[count];
};

// A place along k, which goes through the taps and the channels of each, those
// filled up to whole pieces.
template <int piece>
class Along {
 public:
  P3D_HOST_DEVICE Along(int channels, int first)
      : width_((channels + piece - 1) / piece * piece), first_(first) {}

  // On by so many places, whole pieces; whether another tap is reached.
  P3D_HOST_DEVICE bool Add(const Problem<int>& at, int steps) {
    first_ += steps;
    if (first_ < width_) return false;
    do {
      first_ -= width_;
      tap_.Next(at);
    } while (first_ >= width_);
    return true;
  }
  P3D_HOST_DEVICE int width() const { return width_; }  // places of a tap
  P3D_HOST_DEVICE const Tap& tap() const { return tap_; }
  P3D_HOST_DEVICE int first() const { return first_; }  // channel

 private:
  const int width_;
  int first_;
  Tap tap_;
};

// Slabs of so many places that k has.
P3D_HOST_DEVICE inline int SlabsAlong(const Problem<int>& at, int channels,
                                      int piece, int slab) {
  const int places = at.taps() * ((channels + piece - 1) / piece * piece);
  return (places + slab - 1) / slab;
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_SEEN_CUDA_HPP_
