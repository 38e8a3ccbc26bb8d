#include "kernels/pool_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>
#include <cfloat>
#include <limits>

#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/error.hpp"
#include "kernels/pool_range.hpp"
#include "kernels/random_bits.hpp"

namespace p3d {
namespace cuda {
namespace {

// PoolShape without vectors: always three axes. A blob in Caffe's order is one
// of num * channels images of one channel. Places within an image fit into 32
// bits, of which a GPU has many more registers.
struct Shape {
  PoolAxis l, h, w;
  int64_t images = 1;
  int64_t channels = 1;

  P3D_HOST_DEVICE int64_t in_pixels() const { return l.in * h.in * w.in; }
  P3D_HOST_DEVICE int64_t out_pixels() const { return l.out * h.out * w.out; }
};

Shape ThreeAxes(const PoolShape& shape, Order order) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const size_t given = shape.axes.size();
  Check(given >= 1 && given <= 3, "pooling on a GPU takes up to 3 spatial ",
        "axes, not ", given);
  Shape result;
  PoolAxis* axes[] = {&result.l, &result.h, &result.w};
  for (PoolAxis* axis : axes) axis->out = 1;
  for (size_t i = 0; i < given; ++i) *axes[3 - given + i] = shape.axes[i];
  int64_t most = std::max(result.in_pixels(), result.out_pixels());
  for (const PoolAxis* axis : axes) {
    most = std::max({most, axis->kernel, axis->stride, axis->pad});
  }
  Check(most <= kMost, "pooling on a GPU takes images, kernels, strides and ",
        "pads of up to ", kMost, " pixels, not ", most);
  result.images = shape.num;
  result.channels = shape.channels;
  if (order == Order::kCaffe) {
    result.images *= result.channels;
    result.channels = 1;
  }
  return result;
}

P3D_HOST_DEVICE inline int Quotient32(int64_t a, int64_t b) {
  return static_cast<int>(static_cast<uint32_t>(a) / static_cast<uint32_t>(b));
}

// body(i, its pixel, where its image has its channel in a blob of `others`
// pixels per image) for every run, at i of a blob of `pixels`. Carries the
// place along instead of dividing for it.
template <typename Runs, typename Body>
P3D_HOST_DEVICE void ForEachPlace(const Runs& runs, int64_t channels,
                                  int64_t pixels, int64_t others,
                                  const Body& body) {
  const int64_t row = Quotient(runs.first, channels);
  const int64_t rows = Quotient(runs.step, channels);
  const int64_t image = Quotient(row, pixels), images = Quotient(rows, pixels);
  const int64_t size = others * channels, step = images * size;
  const int rest = static_cast<int>(rows - images * pixels);
  int pixel = static_cast<int>(row - image * pixels);
  int64_t start = image * size + runs.d;
  runs.ForEach([&](int64_t i) {
    body(i, pixel, start);
    start += step;
    if (rest < pixels - pixel) {
      pixel += rest;
    } else {
      pixel -= static_cast<int>(pixels) - rest;
      start += size;
    }
  });
}

// A pixel of an image, taken apart.
struct Place {
  P3D_HOST_DEVICE Place(int pixel, int64_t height, int64_t width) {
    const int line = Quotient32(pixel, width);
    w = pixel - line * static_cast<int>(width);
    l = Quotient32(line, height);
    h = line - l * static_cast<int>(height);
  }
  int l, h, w;
};

// Elements of an axis, or windows.
struct Span {
  P3D_HOST_DEVICE explicit Span(const PoolRange& range)
      : begin(static_cast<int>(range.begin)),
        end(static_cast<int>(range.end)) {}
  // The windows that cover element i.
  P3D_HOST_DEVICE Span(const PoolAxis& axis, int64_t i) {
    const int64_t at = i + axis.pad;
    begin =
        at < axis.kernel ? 0 : Quotient32(at - axis.kernel, axis.stride) + 1;
    end = static_cast<int>(Smaller(Quotient32(at, axis.stride) + 1, axis.out));
  }
  P3D_HOST_DEVICE bool empty() const { return begin == end; }
  int begin, end;
};

// An output's window, clipped to the input; `start` is where its image has its
// channel.
struct Window {
  P3D_HOST_DEVICE Window(const Shape& shape, int64_t start, const Place& o)
      : Window(shape, start, PoolRange(shape.l, o.l), PoolRange(shape.h, o.h),
               PoolRange(shape.w, o.w)) {}
  P3D_HOST_DEVICE Window(const Shape& shape, int64_t start, const PoolRange& l,
                         const PoolRange& h, const PoolRange& w)
      : shape(shape),
        start(start),
        l(l),
        h(h),
        w(w),
        size(l.padded * h.padded * w.padded) {}

  P3D_HOST_DEVICE bool empty() const {
    return l.empty() || h.empty() || w.empty();
  }

  // body(pixel, where it is in x) for every input pixel of the window, first
  // axes first.
  template <typename Body>
  P3D_HOST_DEVICE void ForEachPixel(const Body& body) const {
    for (int i = l.begin; i < l.end; ++i) {
      for (int j = h.begin; j < h.end; ++j) {
        const int row = (i * static_cast<int>(shape.h.in) + j) *
                        static_cast<int>(shape.w.in);
        for (int k = w.begin; k < w.end; ++k) {
          body(row + k, start + (row + k) * shape.channels);
        }
      }
    }
  }

  const Shape& shape;
  int64_t start;
  Span l, h, w;
  double size;  // when clipped to the padded input
};

// body(i, its window) for every run, at i of y: the channels of a run are
// neighbours and have one window.
template <typename Runs, typename Body>
P3D_HOST_DEVICE void ForEachWindow(const Runs& runs, const Shape& shape,
                                   const Body& body) {
  ForEachPlace(runs, shape.channels, shape.out_pixels(), shape.in_pixels(),
               [&](int64_t i, int pixel, int64_t start) {
                 const Place o(pixel, shape.h.out, shape.w.out);
                 body(i, Window(shape, start, o));
               });
}

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

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachWindow(runs, shape, [&](int64_t i, const Window& window) {
      auto best = Runs::All(Value(Least<Value>()));
      window.ForEachPixel([&](int, int64_t at) {
        const auto values = Runs::Read(x + at);
        TakeLarger<Runs::kWidth>(&values[0], &best[0]);
      });
      Runs::Write(best, y + i);
    });
  }
};

// And where it was.
template <typename Value>
struct MaskedMaxKernel {
  using Real = RealOf<Value>;
  Shape shape;
  const Value* x;
  Value* y;
  Real* mask;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachWindow(runs, shape, [&](int64_t i, const Window& window) {
      auto best = Runs::template All<Real>(Least<Value>());
      auto places = Runs::template All<Real>(-1);
      window.ForEachPixel([&](int pixel, int64_t at) {
        const auto values = Runs::Read(x + at);
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) {
          if (!(Real(values[k]) > best[k])) continue;
          best[k] = values[k];
          places[k] = static_cast<Real>(pixel);
        }
      });
      Runs::Write(best, y + i);
      Runs::Write(places, mask + i);
    });
  }
};

// By value of the run, the sum over a window.
template <typename Runs, typename Value>
P3D_HOST_DEVICE auto SumsOf(const Window& window, const Value* x) {
  auto sums = Runs::template All<double>(0);
  window.ForEachPixel([&](int, int64_t at) {
    const auto values = Runs::Read(x + at);
    P3D_UNROLL
    for (int k = 0; k < Runs::kWidth; ++k) sums[k] += values[k];
  });
  return sums;
}

template <typename Value>
struct AverageKernel {
  Shape shape;
  const Value* x;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachWindow(runs, shape, [&](int64_t i, const Window& window) {
      const auto sums = SumsOf<Runs>(window, x);
      const double share = window.empty() ? 0 : 1 / window.size;
      const auto f = [&](int, double sum) {
        return static_cast<RealOf<Value>>(sum * share);
      };
      Runs::Write(Runs::template Apply<Value>(f, sums), y + i);
    });
  }
};

template <typename Dtype>
struct StochasticKernel {
  Shape shape;
  uint64_t seed;
  const Dtype* x;
  Dtype *y, *mask;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachWindow(runs, shape, [&](int64_t i, const Window& window) {
      const auto sums = SumsOf<Runs>(window, x);
      const auto threshold = [&](int k, double sum) {
        const uint64_t state = PartSeed(seed, static_cast<uint64_t>(i + k));
        return UniformFromBits(MixBits(state + kRandomStep)) * sum;
      };
      Draw<Runs>(window, Runs::template Apply<double>(threshold, sums), i);
    });
  }

  // The pixels where the running sums reach the thresholds, or else the last.
  template <typename Runs, typename Thresholds>
  P3D_HOST_DEVICE void Draw(const Window& window, const Thresholds& thresholds,
                            int64_t i) const {
    auto sums = Runs::template All<double>(0);
    auto below = Runs::template All<bool>(true);
    auto drawn = Runs::template All<Dtype>(0);
    auto places = Runs::template All<Dtype>(-1);
    window.ForEachPixel([&](int pixel, int64_t at) {
      const auto values = Runs::Read(x + at);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        if (!below[k]) continue;
        drawn[k] = values[k];
        places[k] = static_cast<Dtype>(pixel);
        sums[k] += values[k];
        below[k] = !(sums[k] >= thresholds[k]);
      }
    });
    Runs::Write(drawn, y + i);
    if (mask) Runs::Write(places, mask + i);
  }
};

template <typename Dtype>
struct StochasticMeanKernel {
  Shape shape;
  const Dtype* x;
  Dtype* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachWindow(runs, shape, [&](int64_t i, const Window& window) {
      auto sums = Runs::template All<double>(0), squares = sums;
      window.ForEachPixel([&](int, int64_t at) {
        const auto values = Runs::Read(x + at);
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) {
          const double value = values[k];
          sums[k] += value;
          squares[k] += value * value;
        }
      });
      const auto f = [](int, double sum, double square) {
        return static_cast<Dtype>(sum > 0 ? square / sum : 0);
      };
      Runs::Write(Runs::template Apply<Dtype>(f, sums, squares), y + i);
    });
  }
};

// body(place in y, l, h, w) for every window that covers a pixel of the
// input; `start` is where its image has its channel in y.
template <typename Body>
P3D_HOST_DEVICE void ForEachCover(const Shape& shape, int64_t start, int pixel,
                                  const Body& body) {
  const Place in(pixel, shape.h.in, shape.w.in);
  const Span l(shape.l, in.l), h(shape.h, in.h), w(shape.w, in.w);
  for (int i = l.begin; i < l.end; ++i) {
    for (int j = h.begin; j < h.end; ++j) {
      const int row = (i * static_cast<int>(shape.h.out) + j) *
                      static_cast<int>(shape.w.out);
      for (int k = w.begin; k < w.end; ++k) {
        body(start + (row + k) * shape.channels, i, j, k);
      }
    }
  }
}

template <typename Runs, typename Body>
P3D_HOST_DEVICE void ForEachInput(const Runs& runs, const Shape& shape,
                                  const Body& body) {
  ForEachPlace(runs, shape.channels, shape.in_pixels(), shape.out_pixels(),
               body);
}

template <typename Value>
struct MaskedBackwardKernel {
  using Real = RealOf<Value>;
  Shape shape;
  const Real* mask;
  const Value* dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachInput(runs, shape, [&](int64_t i, int pixel, int64_t start) {
      const auto own = static_cast<Real>(pixel);
      auto sums = Runs::template All<Real>(0);
      ForEachCover(shape, start, pixel, [&](int64_t o, int, int, int) {
        const auto places = Runs::Read(mask + o);
        const auto gradients = Runs::Read(dy + o);
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) {
          if (places[k] == own) sums[k] += gradients[k];
        }
      });
      Runs::Write(sums, dx + i);
    });
  }
};

template <typename Value>
struct AverageBackwardKernel {
  using Real = RealOf<Value>;
  Shape shape;
  const Value* dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    ForEachInput(runs, shape, [&](int64_t i, int pixel, int64_t start) {
      auto sums = Runs::template All<Real>(0);
      const auto add = [&](int64_t o, int l, int h, int w) {
        const double share =
            1 / (PoolRange(shape.l, l).padded * PoolRange(shape.h, h).padded *
                 PoolRange(shape.w, w).padded);
        const auto gradients = Runs::Read(dy + o);
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) {
          sums[k] += static_cast<Real>(gradients[k] * share);
        }
      };
      ForEachCover(shape, start, pixel, add);
      Runs::Write(sums, dx + i);
    });
  }
};

}  // namespace

template <typename Value>
void MaxPool(CUstream_st* stream, const PoolShape& any, Order order,
             const Value* x, Value* y, RealOf<Value>* mask) {
  const Shape shape = ThreeAxes(any, order);
  const int64_t pixels = shape.images * shape.out_pixels();
  if (mask) {
    ForEachRun<Value>(stream, "MaxPool", pixels, shape.channels,
                      Aligned(x, y, mask),
                      MaskedMaxKernel<Value>{shape, x, y, mask});
  } else {
    ForEachRun<Value>(stream, "MaxPool", pixels, shape.channels, Aligned(x, y),
                      MaxKernel<Value>{shape, x, y});
  }
}

template <typename Value>
void AveragePool(CUstream_st* stream, const PoolShape& any, Order order,
                 const Value* x, Value* y) {
  const Shape shape = ThreeAxes(any, order);
  ForEachRun<Value>(stream, "AveragePool", shape.images * shape.out_pixels(),
                    shape.channels, Aligned(x, y),
                    AverageKernel<Value>{shape, x, y});
}

template <typename Dtype>
void StochasticPool(CUstream_st* stream, const PoolShape& any, Order order,
                    uint64_t seed, const Dtype* x, Dtype* y, Dtype* mask) {
  const Shape shape = ThreeAxes(any, order);
  ForEachRun<Dtype>(stream, "StochasticPool", shape.images * shape.out_pixels(),
                    shape.channels, Aligned(x, y, mask),
                    StochasticKernel<Dtype>{shape, seed, x, y, mask});
}

template <typename Dtype>
void StochasticPoolMean(CUstream_st* stream, const PoolShape& any, Order order,
                        const Dtype* x, Dtype* y) {
  const Shape shape = ThreeAxes(any, order);
  ForEachRun<Dtype>(stream, "StochasticPoolMean",
                    shape.images * shape.out_pixels(), shape.channels,
                    Aligned(x, y), StochasticMeanKernel<Dtype>{shape, x, y});
}

template <typename Value>
void MaskedPoolBackward(CUstream_st* stream, const PoolShape& any, Order order,
                        const RealOf<Value>* mask, const Value* dy, Value* dx) {
  const Shape shape = ThreeAxes(any, order);
  CheckPoolMask<RealOf<Value>>(any);
  ForEachRun<Value>(stream, "MaskedPoolBackward",
                    shape.images * shape.in_pixels(), shape.channels,
                    Aligned(mask, dy, dx),
                    MaskedBackwardKernel<Value>{shape, mask, dy, dx});
}

template <typename Value>
void AveragePoolBackward(CUstream_st* stream, const PoolShape& any, Order order,
                         const Value* dy, Value* dx) {
  const Shape shape = ThreeAxes(any, order);
  ForEachRun<Value>(stream, "AveragePoolBackward",
                    shape.images * shape.in_pixels(), shape.channels,
                    Aligned(dy, dx),
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
