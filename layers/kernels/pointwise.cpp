#include "kernels/pointwise.hpp"

#include <algorithm>

#include "kernels/pointwise_formulas.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// y[i] = f(x[i], i). Results wait in a block of their own because the compiler
// cannot vectorise a loop whose input may also be its output.
template <typename Dtype, typename Function>
void MapRange(const Dtype* x, int64_t count, Dtype* y, const Function& f) {
  constexpr int64_t kBlock = 512;
  Dtype block[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    const Dtype* from = x + begin;
    for (int64_t i = 0; i < n; ++i) block[i] = f(from[i], begin + i);
    std::copy(block, block + n, y + begin);
  }
}

template <typename Dtype, typename Function>
void Map(const Dtype* x, int64_t count, Dtype* y, const Function& f) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    MapRange(x + begin, end - begin, y + begin,
             [&](Dtype v, int64_t) { return f(v); });
  });
}

}  // namespace

template <typename Dtype>
void Abs(const Dtype* x, int64_t count, Dtype* y) {
  Map(x, count, y, AbsOf<Dtype>());
}

template <typename Dtype>
void Bnll(const Dtype* x, int64_t count, Dtype* y) {
  Map(x, count, y, BnllOf<Dtype>());
}

template <typename Dtype>
void Clip(const Dtype* x, int64_t count, Dtype least, Dtype most, Dtype* y) {
  Map(x, count, y, ClipOf<Dtype>{least, most});
}

template <typename Dtype>
void Elu(const Dtype* x, int64_t count, Dtype alpha, Dtype* y) {
  Map(x, count, y, EluOf<Dtype>{alpha});
}

template <typename Dtype>
void Exp(const Dtype* x, int64_t count, Dtype scale, Dtype factor, Dtype* y) {
  Map(x, count, y, ExpOf<Dtype>{scale, factor});
}

template <typename Dtype>
void Log(const Dtype* x, int64_t count, Dtype scale, Dtype shift, Dtype factor,
         Dtype* y) {
  Map(x, count, y, LogOf<Dtype>{scale, shift, factor});
}

template <typename Dtype>
void Power(const Dtype* x, int64_t count, Dtype power, Dtype scale, Dtype shift,
           Dtype* y) {
  WithPower(power, scale, shift, [&](auto f) { Map(x, count, y, f); });
}

template <typename Dtype>
void Relu(const Dtype* x, int64_t count, Dtype slope, Dtype* y) {
  if (slope == 0) return Map(x, count, y, ReluOf<Dtype>());
  Map(x, count, y, LeakyReluOf<Dtype>{slope});
}

template <typename Dtype>
void Sigmoid(const Dtype* x, int64_t count, Dtype* y) {
  Map(x, count, y, SigmoidOf<Dtype>());
}

template <typename Dtype>
void Swish(const Dtype* x, int64_t count, Dtype beta, Dtype* y) {
  Map(x, count, y, SwishOf<Dtype>{beta});
}

template <typename Dtype>
void Tanh(const Dtype* x, int64_t count, Dtype* y) {
  Map(x, count, y, TanhOf<Dtype>());
}

template <typename Dtype>
void Threshold(const Dtype* x, int64_t count, Dtype threshold, Dtype* y) {
  Map(x, count, y, ThresholdOf<Dtype>{threshold});
}

template <typename Dtype>
void Prelu(const Geometry& g, Order order, const Dtype* x, const Dtype* slope,
           Dtype* y) {
  const bool last = order == Order::kChannelsLast;
  const int64_t width = last ? g.channels : g.pixels;
  if (width == 0) return;
  ParallelRanges(
      g.count() / width, RowsPerRange(width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const Dtype* from = x + row * width;
          Dtype* to = y + row * width;
          if (last) {
            MapRange(from, width, to,
                     [&](Dtype v, int64_t c) { return Rectify(v, slope[c]); });
          } else {
            const Dtype s = slope[row % g.channels];
            MapRange(from, width, to,
                     [&](Dtype v, int64_t) { return Rectify(v, s); });
          }
        }
      });
}

#define P3D_INSTANTIATE(Dtype)                                             \
  template void Abs(const Dtype*, int64_t, Dtype*);                        \
  template void Bnll(const Dtype*, int64_t, Dtype*);                       \
  template void Clip(const Dtype*, int64_t, Dtype, Dtype, Dtype*);         \
  template void Elu(const Dtype*, int64_t, Dtype, Dtype*);                 \
  template void Exp(const Dtype*, int64_t, Dtype, Dtype, Dtype*);          \
  template void Log(const Dtype*, int64_t, Dtype, Dtype, Dtype, Dtype*);   \
  template void Power(const Dtype*, int64_t, Dtype, Dtype, Dtype, Dtype*); \
  template void Relu(const Dtype*, int64_t, Dtype, Dtype*);                \
  template void Sigmoid(const Dtype*, int64_t, Dtype*);                    \
  template void Swish(const Dtype*, int64_t, Dtype, Dtype*);               \
  template void Tanh(const Dtype*, int64_t, Dtype*);                       \
  template void Threshold(const Dtype*, int64_t, Dtype, Dtype*);           \
  template void Prelu(const Geometry&, Order, const Dtype*, const Dtype*,  \
                      Dtype*)

P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);

}  // namespace p3d
