#ifndef P3D_KERNELS_CONV_SEEN_CUDA_HPP_
#define P3D_KERNELS_CONV_SEEN_CUDA_HPP_

// Which pixels the taps of a convolution pair up, so cheaply that a thread can
// follow several rows of a product: what a tap shifts is the same for every
// pixel, and what each pixel's taps see is one bit per place along an axis.
// Padding is zeros.

#include <cstdint>

#include "kernels/conv/conv_problem_cuda.hpp"
#include "kernels/conv/conv_tile_cuda.hpp"
#include "kernels/conv/mma_tile_cuda.hpp"

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
  // What tap k shifts in values, of which there are so many from place to
  // place.
  class Shifts {
   public:
    Shifts(const Axis<int>& axis, int64_t values)
        : step_(static_cast<int>(axis.dilation * values)) {}
    P3D_HOST_DEVICE int operator()(int k) const { return k * step_; }

   private:
    int step_;
  };
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
  class Shifts {
   public:
    Shifts(const Axis<int>& axis, int64_t values)
        : dilation_(axis.dilation),
          step_(static_cast<int>(-values)),
          by_stride_(axis.stride) {}
    P3D_HOST_DEVICE int operator()(int k) const {
      return by_stride_(k * dilation_) * step_;
    }

   private:
    int dilation_, step_;
    Divider by_stride_;
  };
  static P3D_HOST_DEVICE uint32_t Bits(const Axis<int>& axis, int q) {
    uint32_t bits = 0;
    P3D_UNROLL_1
    for (int k = 0; k < axis.kernel; ++k)
      bits |= static_cast<uint32_t>(axis.SeenBy(q, k) >= 0) << k;
    return bits;
  }
};

// What the rows of a product see whose values a lane copies, pixels through one
// tap after another. Which ones, `Operand` tells: its lines, along k.
template <typename Way, typename Value, typename Operand>
class SeenRows {
 public:
  static constexpr int kCount = Operand::kCopies;

  // Whether a problem's taps have bits enough, one being left for those behind
  // the last; and what they shift, in values of pixels of so many channels, is
  // no larger than an int.
  static bool Can(const Problem<int>& at, int64_t channels) {
    const auto last = [](const Axis<int>& axis) {
      return double(axis.kernel - 1) * axis.dilation;
    };
    const double line = last(at.l) * Way::To(at.h) + last(at.h);
    const double most = (line * Way::To(at.w) + last(at.w)) * channels;
    return int64_t{at.l.kernel} + at.h.kernel + at.w.kernel <= 31 &&
           most <= 1 << 30;
  }

  // What is so of all rows, in images whose pixels have so many channels.
  struct All {
    All(const Problem<int>& at, int64_t channels)
        : same(at.taps() == 1),
          sizes(Way::From(at.l), Way::From(at.h), Way::From(at.w)),
          l(at.l, channels * Way::To(at.w) * Way::To(at.h)),
          h(at.h, channels * Way::To(at.w)),
          w(at.w, channels) {
      for (const Axis<int>& axis : {at.l, at.h, at.w})
        same = same && axis.stride == 1 && axis.pad == 0 && axis.in == axis.out;
    }
    bool same;  // each sees the pixel of its own number alone
    PixelSizes sizes;
    typename Way::Shifts l, h, w;
  };

  // The rows of a lane of a tile that begins with row `first`. Without
  // `along_w` taps see all there is along that axis, and beyond it.
  P3D_HOST_DEVICE SeenRows(const Problem<int>& at, int first, int lane,
                           const All& all, const Value* images, int channels,
                           bool along_w = true)
      : all_(all) {
    if (all.same) {
      P3D_UNROLL
      for (int i = 0; i < kCount; ++i) {
        const int row = first + Operand::Line(lane) + i * Operand::kApart;
        const bool has = row < at.num * at.in_pixels();
        Set(i, {row, has ? ~(1u << 31) : 0}, images, channels);
      }
      return;
    }
#ifdef __CUDA_ARCH__
    // Each lane finds out about one row, and tells the others: it takes too
    // long to be done more often.
    constexpr int kLines = 32 / Operand::kPieces;  // that a warp begins with
    static_assert(kLines * kCount <= 32, "a lane would have to find several");
    const int mine = lane % (kLines * kCount);
    const Row found = Find(at,
                           first + Operand::Line(lane / 32 * 32) +
                               mine % kLines + mine / kLines * Operand::kApart,
                           along_w);
    P3D_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const int from = i * kLines + lane % 32 / Operand::kPieces;
      Set(i,
          {__shfl_sync(~0u, found.start, from),
           __shfl_sync(~0u, found.seen, from)},
          images, channels);
    }
#else
    for (int i = 0; i < kCount; ++i) {
      const int row = first + Operand::Line(lane) + i * Operand::kApart;
      Set(i, Find(at, row, along_w), images, channels);
    }
#endif
  }

  // On to another tap.
  P3D_HOST_DEVICE void Aim(const Problem<int>& at, const Tap& tap) {
    shift_ = all_.l(tap.l) + all_.h(tap.h) + all_.w(tap.w);
    bits_ = tap.l >= at.l.kernel
                ? 1u << 31
                : 1u << tap.l | 1u << (at.l.kernel + tap.h) |
                      1u << (at.l.kernel + at.h.kernel + tap.w);
  }

  // Where row i reads that channel, and whether it sees anything there.
  P3D_HOST_DEVICE const Value* at(int i, int channel) const {
    return rows_[i] + (shift_ + channel);
  }
  P3D_HOST_DEVICE bool sees(int i) const { return (~seen_[i] & bits_) == 0; }

 private:
  struct Row {
    int start;  // pixel, counted through all images
    uint32_t seen;
  };

  P3D_HOST_DEVICE Row Find(const Problem<int>& at, int row,
                           bool along_w) const {
    const Pixel<int> p(row, all_.sizes);
    if (p.n >= at.num) return {0, 0};
    const int plane = p.n * Way::To(at.l) + Way::Start(at.l, p.l);
    const int line = plane * Way::To(at.h) + Way::Start(at.h, p.h);
    const uint32_t along =
        along_w ? Way::Bits(at.w, p.w) : (1u << at.w.kernel) - 1;
    return {line * Way::To(at.w) + Way::Start(at.w, p.w),
            Way::Bits(at.l, p.l) | Way::Bits(at.h, p.h) << at.l.kernel |
                along << (at.l.kernel + at.h.kernel)};
  }

  P3D_HOST_DEVICE void Set(int i, const Row& row, const Value* images,
                           int channels) {
    rows_[i] = Kept(images + int64_t{row.start} * channels);
    seen_[i] = row.seen;
  }

  const All& all_;
  const Value* rows_[kCount];
  uint32_t seen_[kCount];
  int shift_ = 0;  // values
  uint32_t bits_ = 0;
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
