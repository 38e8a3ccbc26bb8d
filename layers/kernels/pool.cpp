#include "kernels/pool.hpp"

#include <algorithm>
#include <cfloat>

#include "kernels/error.hpp"
#include "kernels/random.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// One output's window, clipped to the input: `rows` lists where its rows along
// the last axis begin (pixels of the image); [begin, end) is its part of each.
struct Window {
  int64_t* rows = nullptr;
  int64_t row_count = 0;
  int64_t begin = 0;
  int64_t end = 0;
  // Elements when clipped to the padded input, of the leading axes and in all.
  double leading_size = 1;
  double size = 1;

  bool empty() const { return row_count == 0 || begin >= end; }
};

// The part of an axis that window o covers.
struct Range {
  Range(const PoolAxis& axis, int64_t o) {
    const int64_t start = o * axis.stride - axis.pad;
    const int64_t stop = std::min(start + axis.kernel, axis.in + axis.pad);
    padded = static_cast<double>(stop - start);
    begin = std::max<int64_t>(start, 0);
    end = std::max(begin, std::min(stop, axis.in));
  }
  int64_t begin, end;
  double padded;
};

int64_t RoundedQuotient(int64_t a, int64_t b, PoolRounding rounding) {
  const int64_t quotient = a / b;  // towards zero
  if (a % b == 0) return quotient;
  if (rounding == PoolRounding::kCeil) return quotient + (a > 0);
  return quotient - (a < 0);
}

// The leading axes of the window in output row `row`, counted through them.
void SetRows(const PoolShape& shape, int64_t row, Window* window) {
  window->leading_size = 1;
  window->row_count = 1;
  window->rows[0] = 0;
  int64_t rows_below = 1;
  for (size_t i = 0; i + 1 < shape.axes.size(); ++i) {
    rows_below *= shape.axes[i].out;
  }
  for (size_t i = 0; i + 1 < shape.axes.size(); ++i) {
    const PoolAxis& axis = shape.axes[i];
    rows_below /= axis.out;
    const Range range(axis, row / rows_below % axis.out);
    const int64_t steps = range.end - range.begin;
    // Each row so far becomes `steps` rows; from the back, as they grow.
    for (int64_t r = window->row_count; r-- > 0;) {
      for (int64_t s = steps; s-- > 0;) {
        window->rows[r * steps + s] =
            window->rows[r] * axis.in + range.begin + s;
      }
    }
    window->row_count *= steps;
    window->leading_size *= range.padded;
  }
  const int64_t width = shape.axes.back().in;
  for (int64_t r = 0; r < window->row_count; ++r) window->rows[r] *= width;
}

// A blob in Caffe's order is one of num * channels images of one channel.
PoolShape ChannelsLast(const PoolShape& shape, Order order) {
  PoolShape result = shape;
  if (order == Order::kCaffe) {
    result.num *= result.channels;
    result.channels = 1;
  }
  return result;
}

// body(window, x, y, channels) for every output pixel and group of channels,
// all at once where there is work enough for the threads; x is the image, y the
// output pixel, both at the first channel of the group, given as offsets.
template <typename Body>
void ForEachWindow(const PoolShape& shape, const Body& body) {
  constexpr int64_t kManyRows = 64;
  constexpr int64_t kChannelGroup = 64;
  const PoolAxis& last = shape.axes.back();
  const int64_t image_rows = shape.out_pixels() / last.out;
  const int64_t rows = shape.num * image_rows;
  const int64_t group = rows < kManyRows ? kChannelGroup : shape.channels;
  const int64_t groups = (shape.channels + group - 1) / group;
  int64_t most_rows = 1;
  for (size_t i = 0; i + 1 < shape.axes.size(); ++i) {
    most_rows *= std::min(shape.axes[i].kernel, shape.axes[i].in);
  }
  const int64_t work = last.out * std::min(group, shape.channels) * most_rows;
  ParallelRanges(
      rows * groups, RowsPerRange(work), [&](int64_t first, int64_t stop) {
        const Scratch<int64_t> offsets(most_rows);
        Window window;
        window.rows = offsets.data();
        for (int64_t task = first; task < stop; ++task) {
          const int64_t row = task / groups;
          const int64_t c = task % groups * group;
          const int64_t count = std::min(group, shape.channels - c);
          SetRows(shape, row % image_rows, &window);
          const int64_t x =
              row / image_rows * shape.in_pixels() * shape.channels + c;
          for (int64_t o = 0; o < last.out; ++o) {
            const Range range(last, o);
            window.begin = range.begin;
            window.end = range.end;
            window.size = window.leading_size * range.padded;
            body(window, x, (row * last.out + o) * shape.channels + c, count);
          }
        }
      });
}

// body(pixel) for every input pixel of a window, first axes first.
template <typename Body>
void ForEachPixel(const Window& window, const Body& body) {
  for (int64_t r = 0; r < window.row_count; ++r) {
    for (int64_t p = window.begin; p < window.end; ++p) {
      body(window.rows[r] + p);
    }
  }
}

// The maxima of kLanes channels, which stay in registers.
template <int kLanes, typename Dtype>
void MaxLanes(const Window& window, int64_t step, const Dtype* x, Dtype* y) {
  Dtype best[kLanes];
  for (int i = 0; i < kLanes; ++i) best[i] = static_cast<Dtype>(-FLT_MAX);
  ForEachPixel(window, [&](int64_t pixel) {
    const Dtype* in = x + pixel * step;
    for (int i = 0; i < kLanes; ++i) {
      best[i] = in[i] > best[i] ? in[i] : best[i];
    }
  });
  for (int i = 0; i < kLanes; ++i) y[i] = best[i];
}

// The sums of kLanes channels, divided by the window's size.
template <int kLanes, typename Dtype>
void AverageLanes(const Window& window, int64_t step, const Dtype* x,
                  Dtype* y) {
  double sum[kLanes] = {};
  ForEachPixel(window, [&](int64_t pixel) {
    const Dtype* in = x + pixel * step;
    for (int i = 0; i < kLanes; ++i) sum[i] += in[i];
  });
  const double size = window.empty() ? 1 : window.size;
  for (int i = 0; i < kLanes; ++i) y[i] = static_cast<Dtype>(sum[i] / size);
}

template <typename Dtype>
void MaxAndPlace(const Window& window, int64_t step, int64_t count,
                 const Dtype* x, Dtype* y, Dtype* mask) {
  std::fill_n(y, count, static_cast<Dtype>(-FLT_MAX));
  std::fill_n(mask, count, Dtype(-1));
  ForEachPixel(window, [&](int64_t pixel) {
    const Dtype* in = x + pixel * step;
    const Dtype place = static_cast<Dtype>(pixel);
    for (int64_t c = 0; c < count; ++c) {
      const bool larger = in[c] > y[c];
      y[c] = larger ? in[c] : y[c];
      mask[c] = larger ? place : mask[c];
    }
  });
}

// The pixel where the running sum of one channel reaches `share` of its sum.
template <typename Dtype>
int64_t Draw(const Window& window, int64_t channels, double share,
             const Dtype* x) {
  double sum = 0;
  ForEachPixel(window, [&](int64_t pixel) { sum += x[pixel * channels]; });
  const double threshold = share * sum;
  int64_t drawn = -1, any = -1;
  sum = 0;
  ForEachPixel(window, [&](int64_t pixel) {
    sum += x[pixel * channels];
    if (drawn < 0 && sum >= threshold) drawn = pixel;
    any = pixel;
  });
  return drawn < 0 ? any : drawn;
}

void CheckAxis(const PoolAxis& axis, bool padded) {
  Check(axis.in >= 1, "cannot pool a blob without values");
  Check(axis.kernel >= 1 && axis.stride >= 1,
        "a pooling window's size and stride have to be at least 1, not ",
        axis.kernel, " and ", axis.stride);
  Check(axis.pad >= 0 && (!padded || axis.pad < axis.kernel), "the pad ",
        axis.pad, " has to be smaller than the kernel ", axis.kernel);
}

}  // namespace

int64_t PoolShape::in_pixels() const {
  int64_t count = 1;
  for (const PoolAxis& axis : axes) count *= axis.in;
  return count;
}

int64_t PoolShape::out_pixels() const {
  int64_t count = 1;
  for (const PoolAxis& axis : axes) count *= axis.out;
  return count;
}

void SetPoolOutputs(PoolRounding rounding, PoolShape* shape) {
  bool padded = false;
  for (const PoolAxis& axis : shape->axes) padded = padded || axis.pad != 0;
  for (PoolAxis& axis : shape->axes) {
    CheckAxis(axis, padded);
    const int64_t slack = axis.in + 2 * axis.pad - axis.kernel;
    axis.out = RoundedQuotient(slack, axis.stride, rounding) + 1;
    if (padded && (axis.out - 1) * axis.stride >= axis.in + axis.pad) {
      --axis.out;
    }
    Check(axis.out >= 1, "a kernel of ", axis.kernel, " with stride ",
          axis.stride, " and pad ", axis.pad, " does not fit into ", axis.in,
          " elements");
  }
}

template <typename Dtype>
void MaxPool(const PoolShape& any, Order order, const Dtype* x, Dtype* y,
             Dtype* mask) {
  const PoolShape shape = ChannelsLast(any, order);
  const int64_t step = shape.channels;
  constexpr int kLanes = 128 / sizeof(Dtype);
  ForEachWindow(shape, [&](const Window& window, int64_t from, int64_t to,
                           int64_t count) {
    const Dtype* in = x + from;
    Dtype* out = y + to;
    if (mask) return MaxAndPlace(window, step, count, in, out, mask + to);
    int64_t c = 0;
    for (; c + kLanes <= count; c += kLanes) {
      MaxLanes<kLanes>(window, step, in + c, out + c);
    }
    for (; c < count; ++c) MaxLanes<1>(window, step, in + c, out + c);
  });
}

template <typename Dtype>
void AveragePool(const PoolShape& any, Order order, const Dtype* x, Dtype* y) {
  const PoolShape shape = ChannelsLast(any, order);
  const int64_t step = shape.channels;
  constexpr int kLanes = 16;
  ForEachWindow(shape, [&](const Window& window, int64_t from, int64_t to,
                           int64_t count) {
    const Dtype* in = x + from;
    Dtype* out = y + to;
    int64_t c = 0;
    for (; c + kLanes <= count; c += kLanes) {
      AverageLanes<kLanes>(window, step, in + c, out + c);
    }
    for (; c < count; ++c) AverageLanes<1>(window, step, in + c, out + c);
  });
}

template <typename Dtype>
void StochasticPool(const PoolShape& any, Order order, uint64_t seed,
                    const Dtype* x, Dtype* y, Dtype* mask) {
  const PoolShape shape = ChannelsLast(any, order);
  const int64_t step = shape.channels;
  ForEachWindow(shape, [&](const Window& window, int64_t from, int64_t to,
                           int64_t count) {
    for (int64_t c = 0; c < count; ++c) {
      Random random(PartSeed(seed, to + c));
      const Dtype* in = x + from + c;
      const int64_t pixel = Draw(window, step, random.Uniform(), in);
      y[to + c] = pixel < 0 ? Dtype(0) : in[pixel * step];
      if (mask) mask[to + c] = static_cast<Dtype>(pixel);
    }
  });
}

template <typename Dtype>
void StochasticPoolMean(const PoolShape& any, Order order, const Dtype* x,
                        Dtype* y) {
  const PoolShape shape = ChannelsLast(any, order);
  const int64_t step = shape.channels;
  ForEachWindow(shape, [&](const Window& window, int64_t from, int64_t to,
                           int64_t count) {
    for (int64_t c = 0; c < count; ++c) {
      double sum = 0, squares = 0;
      ForEachPixel(window, [&](int64_t pixel) {
        const double value = x[from + pixel * step + c];
        sum += value;
        squares += value * value;
      });
      y[to + c] = static_cast<Dtype>(sum > 0 ? squares / sum : 0);
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template void MaxPool(const PoolShape&, Order, const Dtype*, Dtype*,      \
                        Dtype*);                                            \
  template void AveragePool(const PoolShape&, Order, const Dtype*, Dtype*); \
  template void StochasticPool(const PoolShape&, Order, uint64_t,           \
                               const Dtype*, Dtype*, Dtype*);               \
  template void StochasticPoolMean(const PoolShape&, Order, const Dtype*,   \
                                   Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
