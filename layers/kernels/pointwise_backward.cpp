#include "kernels/pointwise.hpp"

#include <algorithm>

#include "kernels/channel_sums.hpp"
#include "kernels/pointwise_formulas.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// dx[i] = f(v[i], dy[i], i). Results wait in a block of their own because the
// compiler cannot vectorise a loop whose input may also be its output.
template <typename Dtype, typename Function>
void MapRange(const Dtype* v, const Dtype* dy, int64_t count, Dtype* dx,
              const Function& f) {
  constexpr int64_t kBlock = 512;
  Dtype block[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    for (int64_t i = 0; i < n; ++i) {
      block[i] = f(v[begin + i], dy[begin + i], begin + i);
    }
    std::copy(block, block + n, dx + begin);
  }
}

template <typename Dtype, typename Function>
void Map(const Dtype* v, const Dtype* dy, int64_t count, Dtype* dx,
         const Function& f) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    MapRange(v + begin, dy + begin, end - begin, dx + begin,
             [&](Dtype value, Dtype d, int64_t) { return f(value, d); });
  });
}

}  // namespace

template <typename Dtype>
void AbsBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype* dx) {
  Map(x, dy, count, dx, AbsSlope<Dtype>());
}

template <typename Dtype>
void BnllBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype* dx) {
  Map(x, dy, count, dx, BnllSlope<Dtype>());
}

template <typename Dtype>
void ClipBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype least,
                  Dtype most, Dtype* dx) {
  Map(x, dy, count, dx, ClipSlope<Dtype>{least, most});
}

template <typename Dtype>
void EluBackward(const Dtype* x, const Dtype* y, const Dtype* dy, int64_t count,
                 Dtype alpha, Dtype* dx) {
  const EluSlope<Dtype> f = {alpha};
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    MapRange(
        x + begin, dy + begin, end - begin, dx + begin,
        [&](Dtype v, Dtype d, int64_t i) { return f(v, d, y[begin + i]); });
  });
}

template <typename Dtype>
void ExpBackward(const Dtype* y, const Dtype* dy, int64_t count, Dtype scale,
                 Dtype* dx) {
  Map(y, dy, count, dx, ExpSlope<Dtype>{scale});
}

template <typename Dtype>
void LogBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype scale,
                 Dtype shift, Dtype factor, Dtype* dx) {
  Map(x, dy, count, dx, LogSlope<Dtype>{scale, shift, factor});
}

template <typename Dtype>
void PowerBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype power,
                   Dtype scale, Dtype shift, Dtype* dx) {
  WithPowerSlope(power, scale, shift,
                 [&](auto f) { Map(x, dy, count, dx, f); });
}

template <typename Dtype>
void ReluBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype slope,
                  Dtype* dx) {
  Map(x, dy, count, dx, ReluSlope<Dtype>{slope});
}

template <typename Dtype>
void SigmoidBackward(const Dtype* y, const Dtype* dy, int64_t count,
                     Dtype* dx) {
  Map(y, dy, count, dx, SigmoidSlope<Dtype>());
}

template <typename Dtype>
void SwishBackward(const Dtype* x, const Dtype* dy, int64_t count, Dtype beta,
                   Dtype* dx) {
  Map(x, dy, count, dx, SwishSlope<Dtype>{beta});
}

template <typename Dtype>
void TanhBackward(const Dtype* y, const Dtype* dy, int64_t count, Dtype* dx) {
  Map(y, dy, count, dx, TanhSlope<Dtype>());
}

template <typename Dtype>
void PreluBackward(const Geometry& g, Order order, const Dtype* x,
                   const Dtype* slope, const Dtype* dy, Dtype* dslope,
                   Dtype* dx) {
  if (dslope) {
    const Scratch<double> sums(2 * g.channels);
    SumChannels(
        Broadcast::Channels(g, order),
        [=](int64_t) {
          return [=](int64_t i) {
            return Pair{x[i] < 0 ? static_cast<double>(dy[i]) * x[i] : 0., 0.};
          };
        },
        sums.data(), sums.data() + g.channels);
    for (int64_t c = 0; c < g.channels; ++c) {
      dslope[c] += static_cast<Dtype>(sums.data()[c]);
    }
  }
  if (!dx) return;
  const bool last = order == Order::kChannelsLast;
  const int64_t width = last ? g.channels : g.pixels;
  if (width == 0) return;
  ParallelRanges(g.count() / width, RowsPerRange(width),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t start = row * width;
                     const Dtype* s = last ? slope : slope + row % g.channels;
                     MapRange(x + start, dy + start, width, dx + start,
                              [&](Dtype v, Dtype d, int64_t i) {
                                return v > 0 ? d : d * s[last ? i : 0];
                              });
                   }
                 });
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void AbsBackward(const Dtype*, const Dtype*, int64_t, Dtype*);      \
  template void BnllBackward(const Dtype*, const Dtype*, int64_t, Dtype*);     \
  template void ClipBackward(const Dtype*, const Dtype*, int64_t, Dtype,       \
                             Dtype, Dtype*);                                   \
  template void EluBackward(const Dtype*, const Dtype*, const Dtype*, int64_t, \
                            Dtype, Dtype*);                                    \
  template void ExpBackward(const Dtype*, const Dtype*, int64_t, Dtype,        \
                            Dtype*);                                           \
  template void LogBackward(const Dtype*, const Dtype*, int64_t, Dtype, Dtype, \
                            Dtype, Dtype*);                                    \
  template void PowerBackward(const Dtype*, const Dtype*, int64_t, Dtype,      \
                              Dtype, Dtype, Dtype*);                           \
  template void ReluBackward(const Dtype*, const Dtype*, int64_t, Dtype,       \
                             Dtype*);                                          \
  template void SigmoidBackward(const Dtype*, const Dtype*, int64_t, Dtype*);  \
  template void SwishBackward(const Dtype*, const Dtype*, int64_t, Dtype,      \
                              Dtype*);                                         \
  template void TanhBackward(const Dtype*, const Dtype*, int64_t, Dtype*);     \
  template void PreluBackward(const Geometry&, Order, const Dtype*,            \
                              const Dtype*, const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
