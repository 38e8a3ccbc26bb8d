#ifndef P3D_KERNELS_CONV_PROBLEM_CUDA_HPP_
#define P3D_KERNELS_CONV_PROBLEM_CUDA_HPP_

#include <cstddef>
#include <cstdint>

#include "kernels/conv/conv.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/cuda/divider_cuda.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {

// A ConvAxis with its size of output and what stands outside the input. It and
// what is made of it are counted in Int, int64_t or (see FitsInt) int.
template <typename Int>
struct Axis {
  Int in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
  bool replicate = false;

  // Where tap k of output p looks; outside the input for a zero.
  P3D_HOST_DEVICE Int At(Int p, Int k) const {
    const Int at = p * stride - pad + k * dilation;
    if (!replicate || Has(at)) return at;
    return at < 0 ? 0 : in - 1;
  }
  // The output whose tap k sees element q, without replicated padding; -1 if
  // there is none.
  P3D_HOST_DEVICE Int SeenBy(Int q, Int k) const {
    const Int from = q + pad - k * dilation;
    const Int p = stride == 1 ? from : from / stride;
    return from >= 0 && p < out && p * stride == from ? p : -1;
  }
  P3D_HOST_DEVICE bool Has(Int at) const { return at >= 0 && at < in; }
};

// ConvShape without a vector: always three axes.
template <typename Int>
struct Problem {
  Axis<Int> l, h, w;
  Int num = 1, channels = 1, num_output = 1, groups = 1;
  Int inputs = 1, outputs = 1;  // of a group

  P3D_HOST_DEVICE Int in_pixels() const { return l.in * h.in * w.in; }
  P3D_HOST_DEVICE Int out_pixels() const { return l.out * h.out * w.out; }
  P3D_HOST_DEVICE Int taps() const { return l.kernel * h.kernel * w.kernel; }
};

// Throws Error for an impossible shape, or one of more than three axes.
template <typename Int>
Problem<Int> ThreeAxes(const ConvShape& shape) {
  CheckConvShape(shape);
  const size_t given = shape.axes.size();
  Check(given <= 3, "a convolution on a GPU takes up to 3 spatial axes, not ",
        given);
  Problem<Int> at;
  Axis<Int>* axes[] = {&at.l, &at.h, &at.w};
  for (size_t i = 0; i < given; ++i) {
    const ConvAxis& from = shape.axes[i];
    Axis<Int>* to = axes[3 - given + i];
    to->in = static_cast<Int>(from.in);
    to->out = static_cast<Int>(from.out());
    to->kernel = static_cast<Int>(from.kernel);
    to->stride = static_cast<Int>(from.stride);
    to->dilation = static_cast<Int>(from.dilation);
    to->pad = static_cast<Int>(from.pad_begin);
    to->replicate = shape.pad_mode == PadMode::kReplicate;
  }
  at.num = static_cast<Int>(shape.num);
  at.channels = static_cast<Int>(shape.channels);
  at.num_output = static_cast<Int>(shape.num_output);
  at.groups = static_cast<Int>(shape.group);
  at.inputs = at.channels / at.groups;
  at.outputs = at.num_output / at.groups;
  return at;
}

// Whether places within one image and within the weights, their inputs filled
// up to fours, and pixels counted through all images can be counted in int.
inline bool FitsInt(const ConvShape& shape) {
  const int64_t most = int64_t{1} << 30;
  for (const ConvAxis& axis : shape.axes) {
    for (int64_t size :
         {axis.stride, axis.dilation, axis.pad_begin, axis.pad_end, axis.in}) {
      if (size > most) return false;
    }
    const int64_t padded = axis.in + axis.pad_begin + axis.pad_end;
    if (padded > most / shape.channels) return false;
  }
  return 4 * shape.weight_count() <= most &&
         shape.in_pixels() * shape.channels <= most &&
         shape.out_pixels() * shape.num_output <= most &&
         shape.num * shape.in_pixels() <= most &&
         shape.num * shape.out_pixels() <= most;
}

// Of images.
struct PixelSizes {
  PixelSizes(int length, int height, int width)
      : length(length), height(height), width(width) {}
  Divider length, height, width;
};

// Pixel `row` of images of length * height * width, counted through all images.
template <typename Int>
struct Pixel {
  P3D_HOST_DEVICE Pixel(int row, const PixelSizes& sizes) {
    const int line = sizes.width(row), plane = sizes.height(line);
    w = row - line * sizes.width.by();
    h = line - plane * sizes.height.by();
    n = sizes.length(plane);
    l = plane - n * sizes.length.by();
  }
  P3D_HOST_DEVICE Pixel(Int row, Int length, Int height, Int width) {
    const Int line = Divided(row, width), plane = Divided(line, height);
    w = row - line * width;
    h = line - plane * height;
    n = Divided(plane, length);
    l = plane - n * length;
  }
  // The pixel so many steps along each axis further on.
  P3D_HOST_DEVICE void Add(const Pixel& steps, Int length, Int height,
                           Int width) {
    w += steps.w;
    h += steps.h + Carry(width, &w);
    l += steps.l + Carry(height, &h);
    n += steps.n + Carry(length, &l);
  }
  Int n, l, h, w;

 private:
  static P3D_HOST_DEVICE Int Carry(Int size, Int* place) {
    if (*place < size) return 0;
    *place -= size;
    return 1;
  }
  static P3D_HOST_DEVICE int64_t Divided(int64_t a, int64_t b) {
    return Quotient(a, b);
  }
  static P3D_HOST_DEVICE int Divided(int a, int b) {
    return static_cast<int>(static_cast<uint32_t>(a) /
                            static_cast<uint32_t>(b));
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_PROBLEM_CUDA_HPP_
