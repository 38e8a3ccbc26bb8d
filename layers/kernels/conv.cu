#include "kernels/conv_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

// The outputs [begin, end) of an axis.
struct Outputs {
  int64_t begin, end;
};

// A ConvAxis with its size of output and what stands outside the input.
struct Axis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
  bool replicate = false;

  // The element that tap k of output p sees; -1 for a zero.
  P3D_HOST_DEVICE int64_t Seen(int64_t p, int64_t k) const {
    const int64_t at = p * stride - pad + k * dilation;
    if (at >= 0 && at < in) return at;
    if (!replicate) return -1;
    return at < 0 ? 0 : in - 1;
  }

  // The outputs whose tap k sees element q.
  P3D_HOST_DEVICE Outputs SeenBy(int64_t q, int64_t k) const {
    const int64_t from = q + pad - k * dilation;
    int64_t begin = from > 0 ? Quotient(from + stride - 1, stride) : 0;
    int64_t end = from >= 0 ? Quotient(from, stride) + 1 : 0;
    if (replicate && q == 0) begin = 0;
    if (replicate && q == in - 1) end = out;
    return {begin, Smaller(end, out)};
  }
};

// ConvShape without a vector: always three axes.
struct Problem {
  Axis l, h, w;
  int64_t num = 1, channels = 1, num_output = 1;
  int64_t inputs = 1, outputs = 1;  // of a group

  P3D_HOST_DEVICE int64_t in_pixels() const { return l.in * h.in * w.in; }
  P3D_HOST_DEVICE int64_t out_pixels() const { return l.out * h.out * w.out; }
  P3D_HOST_DEVICE int64_t taps() const {
    return l.kernel * h.kernel * w.kernel;
  }
};

Problem ThreeAxes(const ConvShape& shape) {
  CheckConvShape(shape);
  const size_t given = shape.axes.size();
  Check(given <= 3, "a convolution on a GPU takes up to 3 spatial axes, not ",
        given);
  Problem result;
  Axis* axes[] = {&result.l, &result.h, &result.w};
  for (size_t i = 0; i < given; ++i) {
    const ConvAxis& from = shape.axes[i];
    *axes[3 - given + i] = {from.in,
                            from.out(),
                            from.kernel,
                            from.stride,
                            from.dilation,
                            from.pad_begin,
                            shape.pad_mode == PadMode::kReplicate};
  }
  result.num = shape.num;
  result.channels = shape.channels;
  result.num_output = shape.num_output;
  result.inputs = shape.channels / shape.group;
  result.outputs = shape.num_output / shape.group;
  return result;
}

// Pixel `row` of images of height * width, counted through all images.
struct Pixel {
  P3D_HOST_DEVICE Pixel(int64_t row, int64_t length, int64_t height,
                        int64_t width) {
    const int64_t line = Quotient(row, width), plane = Quotient(line, height);
    w = row - line * width;
    h = line - plane * height;
    n = Quotient(plane, length);
    l = plane - n * length;
  }
  int64_t n, l, h, w;
};

template <typename Dtype>
struct ForwardKernel {
  Problem at;
  const Dtype *x, *weights;
  Epilogue<Dtype> epilogue;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t row = Quotient(place, at.num_output);
    const int64_t o = place - row * at.num_output;
    const Pixel p(row, at.l.out, at.h.out, at.w.out);
    const int64_t first = Quotient(o, at.outputs) * at.inputs;
    const Dtype* image = x + p.n * at.in_pixels() * at.channels + first;
    const Dtype* tap = weights + o * at.taps() * at.inputs;
    Dtype sum = 0;
    for (int64_t k = 0; k < at.l.kernel; ++k) {
      const int64_t l = at.l.Seen(p.l, k);
      for (int64_t j = 0; j < at.h.kernel; ++j) {
        const int64_t h = at.h.Seen(p.h, j);
        for (int64_t i = 0; i < at.w.kernel; ++i, tap += at.inputs) {
          const int64_t w = at.w.Seen(p.w, i);
          if (l < 0 || h < 0 || w < 0) continue;
          const int64_t pixel = (l * at.h.in + h) * at.w.in + w;
          sum += Products(image + pixel * at.channels, tap);
        }
      }
    }
    y[place] = epilogue(sum, o, place);
  }

  P3D_HOST_DEVICE Dtype Products(const Dtype* values, const Dtype* tap) const {
    Dtype sum = 0;
    for (int64_t i = 0; i < at.inputs; ++i) sum += values[i] * tap[i];
    return sum;
  }
};

template <typename Dtype>
struct DataGradientKernel {
  Problem at;
  const Dtype *dy, *weights;
  bool add;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t row = Quotient(place, at.channels);
    const int64_t c = place - row * at.channels;
    const Pixel q(row, at.l.in, at.h.in, at.w.in);
    const int64_t group = Quotient(c, at.inputs);
    const int64_t first = group * at.outputs;
    const Dtype* image = dy + q.n * at.out_pixels() * at.num_output + first;
    const Dtype* tap =
        weights + first * at.taps() * at.inputs + c - group * at.inputs;
    Dtype sum = 0;
    for (int64_t k = 0; k < at.l.kernel; ++k) {
      const Outputs l = at.l.SeenBy(q.l, k);
      for (int64_t j = 0; j < at.h.kernel; ++j) {
        const Outputs h = at.h.SeenBy(q.h, j);
        for (int64_t i = 0; i < at.w.kernel; ++i, tap += at.inputs) {
          sum += Box(l, h, at.w.SeenBy(q.w, i), image, tap);
        }
      }
    }
    dx[place] = add ? dx[place] + sum : sum;
  }

  // The sum over a box of output pixels and the outputs of the group.
  P3D_HOST_DEVICE Dtype Box(const Outputs& l, const Outputs& h,
                            const Outputs& w, const Dtype* image,
                            const Dtype* tap) const {
    const int64_t step = at.inputs * at.taps();
    Dtype sum = 0;
    for (int64_t a = l.begin; a < l.end; ++a) {
      for (int64_t b = h.begin; b < h.end; ++b) {
        for (int64_t c = w.begin; c < w.end; ++c) {
          const int64_t pixel = (a * at.h.out + b) * at.w.out + c;
          const Dtype* from = image + pixel * at.num_output;
          for (int64_t o = 0; o < at.outputs; ++o) {
            sum += from[o] * tap[o * step];
          }
        }
      }
    }
    return sum;
  }
};

// Row (o * taps + k) * inputs + i: one weight, summed over all output pixels.
template <typename Dtype>
struct WeightGradientRows {
  Problem at;
  const Dtype *dy, *x;
  bool add;
  Dtype* dw;

  P3D_HOST_DEVICE Pair Sum(int64_t row, int64_t lane) const {
    const int64_t column = Quotient(row, at.inputs);
    const int64_t line = Quotient(column, at.w.kernel);
    const int64_t k_w = column - line * at.w.kernel;
    const int64_t plane = Quotient(line, at.h.kernel);
    const int64_t k_h = line - plane * at.h.kernel;
    const int64_t o = Quotient(plane, at.l.kernel);
    const int64_t k_l = plane - o * at.l.kernel;
    const int64_t c =
        Quotient(o, at.outputs) * at.inputs + row - column * at.inputs;
    const int64_t end = at.num * at.out_pixels();
    Pair sum = {0, 0};
    for (int64_t place = lane; place < end; place += kThreads) {
      const Pixel p(place, at.l.out, at.h.out, at.w.out);
      const int64_t l = at.l.Seen(p.l, k_l);
      const int64_t h = at.h.Seen(p.h, k_h);
      const int64_t w = at.w.Seen(p.w, k_w);
      if (l < 0 || h < 0 || w < 0) continue;
      const int64_t pixel = ((p.n * at.l.in + l) * at.h.in + h) * at.w.in + w;
      sum.first += static_cast<double>(dy[place * at.num_output + o]) *
                   x[pixel * at.channels + c];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, const Pair& sum) const {
    dw[row] = (add ? dw[row] : 0) + static_cast<Dtype>(sum.first);
  }
};

}  // namespace

template <typename Dtype>
void Convolve(CUstream_st* stream, const ConvShape& shape, const Dtype* x,
              const Dtype* weights, const Epilogue<Dtype>& epilogue, Dtype* y) {
  const Problem at = ThreeAxes(shape);
  ForEach(stream, "Convolve", at.num * at.out_pixels() * at.num_output,
          ForwardKernel<Dtype>{at, x, weights, epilogue, y});
}

template <typename Dtype>
void ConvDataGradient(CUstream_st* stream, const ConvShape& shape,
                      const Dtype* dy, const Dtype* weights, bool add,
                      Dtype* dx) {
  const Problem at = ThreeAxes(shape);
  ForEach(stream, "ConvDataGradient", at.num * at.in_pixels() * at.channels,
          DataGradientKernel<Dtype>{at, dy, weights, add, dx});
}

template <typename Dtype>
void ConvWeightGradient(CUstream_st* stream, const ConvShape& shape,
                        const Dtype* dy, const Dtype* x, Dtype*, bool add,
                        Dtype* dw) {
  const Problem at = ThreeAxes(shape);
  SumRows(stream, "ConvWeightGradient", shape.weight_count(),
          WeightGradientRows<Dtype>{at, dy, x, add, dw});
}

int64_t ConvWeightGradientScratch(const ConvShape& shape) {
  ThreeAxes(shape);
  return 0;
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void Convolve(CUstream_st*, const ConvShape&, const Dtype*,         \
                         const Dtype*, const Epilogue<Dtype>&, Dtype*);        \
  template void ConvDataGradient(CUstream_st*, const ConvShape&, const Dtype*, \
                                 const Dtype*, bool, Dtype*);                  \
  template void ConvWeightGradient(CUstream_st*, const ConvShape&,             \
                                   const Dtype*, const Dtype*, Dtype*, bool,   \
                                   Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
