#include "kernels/order.hpp"

#include <algorithm>

#include "kernels/cpu/thread_pool.hpp"

namespace p3d {
namespace {

constexpr int64_t kTile = 16;
constexpr int64_t kRowsPerTask = 1024;

// Transposes rows [begin, end) of a (rows, columns) matrix, tile by tile, so
// that each cache line of either side is visited once.
template <typename Dtype>
void TransposeRows(const Dtype* from, int64_t rows, int64_t columns,
                   int64_t begin, int64_t end, Dtype* to) {
  for (int64_t r0 = begin; r0 < end; r0 += kTile) {
    const int64_t r1 = std::min(end, r0 + kTile);
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t c1 = std::min(columns, c0 + kTile);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) {
          to[c * rows + r] = from[r * columns + c];
        }
      }
    }
  }
}

// The long side of a three-channel clip is its pixels: gather them.
template <typename Dtype>
void InterleaveRows(const Dtype* from, int64_t channels, int64_t pixels,
                    int64_t begin, int64_t end, Dtype* to) {
  for (int64_t p = begin; p < end; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      to[p * channels + c] = from[c * pixels + p];
    }
  }
}

}  // namespace

template <typename Dtype>
void ToChannelsLast(const Geometry& g, const Dtype* from, Dtype* to) {
  const bool few = g.channels < kTile;
  const int64_t rows = few ? g.pixels : g.channels;
  const int64_t step = few ? kRowsPerTask * kTile : kTile;
  const int64_t chunks = (rows + step - 1) / step;
  ParallelFor(g.num * chunks, [&](int64_t task) {
    const int64_t offset = task / chunks * g.channels * g.pixels;
    const int64_t begin = task % chunks * step;
    const int64_t end = std::min(rows, begin + step);
    if (few) {
      InterleaveRows(from + offset, g.channels, g.pixels, begin, end,
                     to + offset);
    } else {
      TransposeRows(from + offset, g.channels, g.pixels, begin, end,
                    to + offset);
    }
  });
}

template <typename Dtype>
void ToCaffeOrder(const Geometry& g, const Dtype* from, Dtype* to) {
  const int64_t chunks = (g.pixels + kRowsPerTask - 1) / kRowsPerTask;
  ParallelFor(g.num * chunks, [&](int64_t task) {
    const int64_t offset = task / chunks * g.channels * g.pixels;
    const int64_t begin = task % chunks * kRowsPerTask;
    TransposeRows(from + offset, g.pixels, g.channels, begin,
                  std::min(g.pixels, begin + kRowsPerTask), to + offset);
  });
}

template void ToChannelsLast(const Geometry&, const float*, float*);
template void ToChannelsLast(const Geometry&, const double*, double*);
template void ToCaffeOrder(const Geometry&, const float*, float*);
template void ToCaffeOrder(const Geometry&, const double*, double*);

}  // namespace p3d
