#include "kernels/im2col_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

// The quotient, rounded down, of a number that may be negative.
P3D_HOST_DEVICE inline int64_t Floor(int64_t a, int64_t b) {
  return a >= 0 ? Quotient(a, b) : -1 - Quotient(-1 - a, b);
}

struct Axis {
  ConvAxis of;
  int64_t out = 1;
  bool replicate = false;

  // What tap k sees at output p, -1 for padding.
  P3D_HOST_DEVICE int64_t Seen(int64_t p, int64_t k) const {
    const int64_t at = p * of.stride - of.pad_begin + k * of.dilation;
    if (at >= 0 && at < of.in) return at;
    return !replicate ? -1 : at < 0 ? 0 : of.in - 1;
  }
  // The outputs [begin, end) at which tap k sees input q.
  struct Range {
    int64_t begin, end;
  };
  P3D_HOST_DEVICE Range Seeing(int64_t q, int64_t k) const {
    const int64_t reach = q + of.pad_begin - k * of.dilation;
    Range range = {Floor(reach - 1, of.stride) + 1,
                   Floor(reach, of.stride) + 1};
    if (replicate && q == 0) range.begin = 0;
    if (replicate && q == of.in - 1) range.end = out;
    if (range.begin < 0) range.begin = 0;
    range.end = Smaller(range.end, out);
    return range;
  }
};

// ConvShape without vectors: always three axes.
struct Windows {
  explicit Windows(const ConvShape& shape) {
    const size_t given = shape.axes.size();
    Check(given >= 1 && given <= 3, "im2col on a GPU takes up to 3 spatial ",
          "axes, not ", given);
    for (size_t i = 0; i < given; ++i) {
      axes[3 - given + i] = {shape.axes[i], shape.axes[i].out(),
                             shape.pad_mode == PadMode::kReplicate};
    }
    planes = shape.num * shape.channels;
    taps = shape.taps();
    in = shape.in_pixels();
    out = shape.out_pixels();
  }

  Axis axes[3];
  int64_t planes, taps, in, out;
};

// i of an array with three axes of these sizes, taken apart.
struct Place {
  P3D_HOST_DEVICE Place(int64_t i, int64_t height, int64_t width) {
    const int64_t line = Quotient(i, width);
    l = Quotient(line, height);
    h = line - l * height;
    w = i - line * width;
  }
  int64_t l, h, w;
};

template <typename Value>
struct Im2colKernel {
  Windows windows;
  const Value* x;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Axis &l = windows.axes[0], &h = windows.axes[1], &w = windows.axes[2];
    const int64_t row = Quotient(i, windows.out);
    const int64_t plane = Quotient(row, windows.taps);
    const Place p(i - row * windows.out, h.out, w.out);
    const Place k(row - plane * windows.taps, h.of.kernel, w.of.kernel);
    const int64_t at_l = l.Seen(p.l, k.l), at_h = h.Seen(p.h, k.h),
                  at_w = w.Seen(p.w, k.w);
    const bool inside = at_l >= 0 && at_h >= 0 && at_w >= 0;
    const int64_t at = (at_l * h.of.in + at_h) * w.of.in + at_w;
    y[i] = inside ? x[plane * windows.in + at] : Value(0);
  }
};

template <typename Value>
struct Im2colBackwardKernel {
  Windows windows;
  const Value* dy;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Axis &l = windows.axes[0], &h = windows.axes[1], &w = windows.axes[2];
    const int64_t plane = Quotient(i, windows.in);
    const Place q(i - plane * windows.in, h.of.in, w.of.in);
    const Value* from = dy + plane * windows.taps * windows.out;
    RealOf<Value> sum = 0;
    for (int64_t k_l = 0; k_l < l.of.kernel; ++k_l) {
      const Axis::Range at_l = l.Seeing(q.l, k_l);
      for (int64_t k_h = 0; k_h < h.of.kernel; ++k_h) {
        const Axis::Range at_h = h.Seeing(q.h, k_h);
        for (int64_t k_w = 0; k_w < w.of.kernel; ++k_w) {
          const Axis::Range at_w = w.Seeing(q.w, k_w);
          for (int64_t p_l = at_l.begin; p_l < at_l.end; ++p_l) {
            for (int64_t p_h = at_h.begin; p_h < at_h.end; ++p_h) {
              const Value* line = from + (p_l * h.out + p_h) * w.out;
              for (int64_t p_w = at_w.begin; p_w < at_w.end; ++p_w)
                sum += line[p_w];
            }
          }
          from += windows.out;
        }
      }
    }
    dx[i] = static_cast<Value>(sum);
  }
};

}  // namespace

template <typename Value>
void Im2col(CUstream_st* stream, const ConvShape& shape, const Value* x,
            Value* y) {
  const Windows windows(shape);
  ForEach(stream, "Im2col", windows.planes * windows.taps * windows.out,
          Im2colKernel<Value>{windows, x, y});
}

template <typename Value>
void Im2colBackward(CUstream_st* stream, const ConvShape& shape,
                    const Value* dy, Value* dx) {
  const Windows windows(shape);
  ForEach(stream, "Im2colBackward", windows.planes * windows.in,
          Im2colBackwardKernel<Value>{windows, dy, dx});
}

#define P3D_INSTANTIATE(Value)                                                \
  template void Im2col(CUstream_st*, const ConvShape&, const Value*, Value*); \
  template void Im2colBackward(CUstream_st*, const ConvShape&, const Value*,  \
                               Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
