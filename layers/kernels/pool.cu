#include "kernels/pool_cuda.hpp"

// The header that this file implements comes first.
#include <cfloat>

#include "kernels/cuda_launch.hpp"
#include "kernels/error.hpp"
#include "kernels/pool_range.hpp"
#include "kernels/random_bits.hpp"

namespace p3d {
namespace cuda {
namespace {

// PoolShape without vectors: always three axes. A blob in Caffe's order is one
// of num * channels images of one channel.
struct Shape {
  PoolAxis l, h, w;
  int64_t images = 1;
  int64_t channels = 1;

  P3D_HOST_DEVICE int64_t in_pixels() const { return l.in * h.in * w.in; }
  P3D_HOST_DEVICE int64_t out_pixels() const { return l.out * h.out * w.out; }
  int64_t in_count() const { return images * channels * in_pixels(); }
  int64_t out_count() const { return images * channels * out_pixels(); }
};

Shape ThreeAxes(const PoolShape& shape, Order order) {
  const size_t given = shape.axes.size();
  Check(given >= 1 && given <= 3, "pooling on a GPU takes up to 3 spatial ",
        "axes, not ", given);
  Shape result;
  PoolAxis* axes[] = {&result.l, &result.h, &result.w};
  for (PoolAxis* axis : axes) axis->out = 1;
  for (size_t i = 0; i < given; ++i) *axes[3 - given + i] = shape.axes[i];
  result.images = shape.num;
  result.channels = shape.channels;
  if (order == Order::kCaffe) {
    result.images *= result.channels;
    result.channels = 1;
  }
  return result;
}

// Value i of a blob with `pixels` of height * width per image, taken apart.
struct Place {
  P3D_HOST_DEVICE Place(int64_t i, int64_t channels, int64_t pixels,
                        int64_t height, int64_t width) {
    const int64_t row = Quotient(i, channels);
    c = i - row * channels;
    image = Quotient(row, pixels);
    pixel = row - image * pixels;
    const int64_t line = Quotient(pixel, width);
    w = pixel - line * width;
    l = Quotient(line, height);
    h = line - l * height;
  }
  int64_t image, c, pixel, l, h, w;
};

// The windows of an axis that cover element i.
struct Cover {
  P3D_HOST_DEVICE Cover(const PoolAxis& axis, int64_t i) {
    const int64_t at = i + axis.pad;
    begin = at < axis.kernel ? 0 : Quotient(at - axis.kernel, axis.stride) + 1;
    end = Smaller(Quotient(at, axis.stride) + 1, axis.out);
  }
  int64_t begin, end;
};

// One output's window, clipped to the input; `image` is where the pixels of its
// image and channel begin, `step` how far they are apart.
struct Window {
  P3D_HOST_DEVICE Window(const Shape& shape, const Place& place)
      : l(shape.l, place.l),
        h(shape.h, place.h),
        w(shape.w, place.w),
        height(shape.h.in),
        width(shape.w.in),
        image(place.image * shape.in_pixels() * shape.channels + place.c),
        step(shape.channels) {}
  P3D_HOST_DEVICE Window(const Shape& shape, int64_t i)
      : Window(shape, Place(i, shape.channels, shape.out_pixels(), shape.h.out,
                            shape.w.out)) {}

  P3D_HOST_DEVICE bool empty() const {
    return l.begin == l.end || h.begin == h.end || w.begin == w.end;
  }
  P3D_HOST_DEVICE double size() const { return l.padded * h.padded * w.padded; }

  // body(pixel) for every input pixel of the window, first axes first.
  template <typename Body>
  P3D_HOST_DEVICE void ForEachPixel(const Body& body) const {
    for (int64_t i = l.begin; i < l.end; ++i) {
      for (int64_t j = h.begin; j < h.end; ++j) {
        const int64_t row = (i * height + j) * width;
        for (int64_t k = w.begin; k < w.end; ++k) body(row + k);
      }
    }
  }

  PoolRange l, h, w;
  int64_t height, width, image, step;
};

// The maximum of nothing: Caffe's, and the least number of those kinds that do
// not reach as far.
template <typename Value>
P3D_HOST_DEVICE RealOf<Value> Least() {
  return -FLT_MAX;
}
template <>
P3D_HOST_DEVICE inline float Least<Bf16>() {
  return -3.38953139e38f;
}
template <>
P3D_HOST_DEVICE inline float Least<Fp16>() {
  return -65504.f;
}

template <typename Value>
struct MaxKernel {
  Shape shape;
  const Value* x;
  Value* y;
  RealOf<Value>* mask;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Window window(shape, i);
    RealOf<Value> best = Least<Value>();
    int64_t place = -1;
    window.ForEachPixel([&](int64_t pixel) {
      const RealOf<Value> value = x[window.image + pixel * window.step];
      if (value > best) {
        best = value;
        place = pixel;
      }
    });
    y[i] = best;
    if (mask) mask[i] = static_cast<RealOf<Value>>(place);
  }
};

template <typename Value>
struct AverageKernel {
  Shape shape;
  const Value* x;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Window window(shape, i);
    double sum = 0;
    window.ForEachPixel(
        [&](int64_t pixel) { sum += x[window.image + pixel * window.step]; });
    y[i] = static_cast<RealOf<Value>>(window.empty() ? 0 : sum / window.size());
  }
};

template <typename Dtype>
struct StochasticKernel {
  Shape shape;
  uint64_t seed;
  const Dtype* x;
  Dtype* y;
  Dtype* mask;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Window window(shape, i);
    const uint64_t state = PartSeed(seed, static_cast<uint64_t>(i));
    const double share = UniformFromBits(MixBits(state + kRandomStep));
    const int64_t pixel = Draw(window, share);
    y[i] = pixel < 0 ? Dtype(0) : x[window.image + pixel * window.step];
    if (mask) mask[i] = static_cast<Dtype>(pixel);
  }

  // The pixel where the running sum reaches `share` of the sum.
  P3D_HOST_DEVICE int64_t Draw(const Window& window, double share) const {
    double sum = 0;
    window.ForEachPixel(
        [&](int64_t pixel) { sum += x[window.image + pixel * window.step]; });
    const double threshold = share * sum;
    int64_t drawn = -1, any = -1;
    sum = 0;
    window.ForEachPixel([&](int64_t pixel) {
      sum += x[window.image + pixel * window.step];
      if (drawn < 0 && sum >= threshold) drawn = pixel;
      any = pixel;
    });
    return drawn < 0 ? any : drawn;
  }
};

template <typename Dtype>
struct StochasticMeanKernel {
  Shape shape;
  const Dtype* x;
  Dtype* y;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Window window(shape, i);
    double sum = 0, squares = 0;
    window.ForEachPixel([&](int64_t pixel) {
      const double value = x[window.image + pixel * window.step];
      sum += value;
      squares += value * value;
    });
    y[i] = static_cast<Dtype>(sum > 0 ? squares / sum : 0);
  }
};

// body(place in y, l, h, w) for every window that covers the input value `in`.
template <typename Body>
P3D_HOST_DEVICE void ForEachCover(const Shape& shape, const Place& in,
                                  const Body& body) {
  const Cover l(shape.l, in.l), h(shape.h, in.h), w(shape.w, in.w);
  const int64_t image = in.image * shape.out_pixels() * shape.channels + in.c;
  for (int64_t i = l.begin; i < l.end; ++i) {
    for (int64_t j = h.begin; j < h.end; ++j) {
      const int64_t row = (i * shape.h.out + j) * shape.w.out;
      for (int64_t k = w.begin; k < w.end; ++k) {
        body(image + (row + k) * shape.channels, i, j, k);
      }
    }
  }
}

P3D_HOST_DEVICE inline Place InputPlace(const Shape& shape, int64_t i) {
  return Place(i, shape.channels, shape.in_pixels(), shape.h.in, shape.w.in);
}

template <typename Value>
struct MaskedBackwardKernel {
  Shape shape;
  const RealOf<Value>* mask;
  const Value* dy;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const Place in = InputPlace(shape, i);
    const auto pixel = static_cast<RealOf<Value>>(in.pixel);
    RealOf<Value> sum = 0;
    ForEachCover(shape, in, [&](int64_t o, int64_t, int64_t, int64_t) {
      if (mask[o] == pixel) sum += dy[o];
    });
    dx[i] = sum;
  }
};

template <typename Value>
struct AverageBackwardKernel {
  Shape shape;
  const Value* dy;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    RealOf<Value> sum = 0;
    ForEachCover(shape, InputPlace(shape, i),
                 [&](int64_t o, int64_t l, int64_t h, int64_t w) {
                   const double size = PoolRange(shape.l, l).padded *
                                       PoolRange(shape.h, h).padded *
                                       PoolRange(shape.w, w).padded;
                   sum += static_cast<RealOf<Value>>(dy[o] / size);
                 });
    dx[i] = sum;
  }
};

}  // namespace

template <typename Value>
void MaxPool(CUstream_st* stream, const PoolShape& any, Order order,
             const Value* x, Value* y, RealOf<Value>* mask) {
  const Shape shape = ThreeAxes(any, order);
  ForEach(stream, "MaxPool", shape.out_count(),
          MaxKernel<Value>{shape, x, y, mask});
}

template <typename Value>
void AveragePool(CUstream_st* stream, const PoolShape& any, Order order,
                 const Value* x, Value* y) {
  const Shape shape = ThreeAxes(any, order);
  ForEach(stream, "AveragePool", shape.out_count(),
          AverageKernel<Value>{shape, x, y});
}

template <typename Dtype>
void StochasticPool(CUstream_st* stream, const PoolShape& any, Order order,
                    uint64_t seed, const Dtype* x, Dtype* y, Dtype* mask) {
  const Shape shape = ThreeAxes(any, order);
  ForEach(stream, "StochasticPool", shape.out_count(),
          StochasticKernel<Dtype>{shape, seed, x, y, mask});
}

template <typename Dtype>
void StochasticPoolMean(CUstream_st* stream, const PoolShape& any, Order order,
                        const Dtype* x, Dtype* y) {
  const Shape shape = ThreeAxes(any, order);
  ForEach(stream, "StochasticPoolMean", shape.out_count(),
          StochasticMeanKernel<Dtype>{shape, x, y});
}

template <typename Value>
void MaskedPoolBackward(CUstream_st* stream, const PoolShape& any, Order order,
                        const RealOf<Value>* mask, const Value* dy, Value* dx) {
  const Shape shape = ThreeAxes(any, order);
  CheckPoolMask<RealOf<Value>>(any);
  ForEach(stream, "MaskedPoolBackward", shape.in_count(),
          MaskedBackwardKernel<Value>{shape, mask, dy, dx});
}

template <typename Value>
void AveragePoolBackward(CUstream_st* stream, const PoolShape& any, Order order,
                         const Value* dy, Value* dx) {
  const Shape shape = ThreeAxes(any, order);
  ForEach(stream, "AveragePoolBackward", shape.in_count(),
          AverageBackwardKernel<Value>{shape, dy, dx});
}

#define P3D_INSTANTIATE(Value)                                               \
  template void MaxPool(CUstream_st*, const PoolShape&, Order, const Value*, \
                        Value*, RealOf<Value>*);                             \
  template void AveragePool(CUstream_st*, const PoolShape&, Order,           \
                            const Value*, Value*);                           \
  template void MaskedPoolBackward(CUstream_st*, const PoolShape&, Order,    \
                                   const RealOf<Value>*, const Value*,       \
                                   Value*);                                  \
  template void AveragePoolBackward(CUstream_st*, const PoolShape&, Order,   \
                                    const Value*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

#define P3D_INSTANTIATE(Dtype)                                            \
  template void StochasticPool(CUstream_st*, const PoolShape&, Order,     \
                               uint64_t, const Dtype*, Dtype*, Dtype*);   \
  template void StochasticPoolMean(CUstream_st*, const PoolShape&, Order, \
                                   const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
