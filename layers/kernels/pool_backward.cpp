#include "kernels/pool.hpp"

#include <algorithm>
#include <limits>

#include "kernels/error.hpp"
#include "kernels/pool_windows.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// `count` channels of every pixel of an image.
template <typename Dtype>
void Clear(int64_t pixels, int64_t step, int64_t count, Dtype* dx) {
  for (int64_t p = 0; p < pixels; ++p) {
    std::fill_n(dx + p * step, count, Dtype(0));
  }
}

// Adds each dy / (size of its window) to every pixel of the window.
template <typename Dtype>
void ShareRow(const PoolRow& row, const PoolAxis& axis, int64_t step,
              int64_t count, const Dtype* dy, Dtype* dx) {
  Dtype share[kPoolGroup];
  for (int64_t o = 0; o < axis.out; ++o) {
    const PoolRange range(axis, o);
    const double size = row.size * range.padded;
    for (int64_t c = 0; c < count; ++c) {
      share[c] = static_cast<Dtype>(dy[o * step + c] / size);
    }
    ForEachPixel(row, range, [&](int64_t pixel) {
      Dtype* out = dx + pixel * step;
      for (int64_t c = 0; c < count; ++c) out[c] += share[c];
    });
  }
}

}  // namespace

template <typename Dtype>
void CheckPoolMask(const PoolShape& shape) {
  const int64_t in = shape.in_pixels();
  const int64_t most = int64_t{1} << std::numeric_limits<Dtype>::digits;
  Check(in <= most, "the mask cannot count ", in, " pixels, only ", most,
        "; pool smaller clips");
}

template <typename Dtype>
void MaskedPoolBackward(const PoolShape& any, Order order, const Dtype* mask,
                        const Dtype* dy, Dtype* dx) {
  const PoolShape shape = WithChannelsLast(any, order);
  const int64_t step = shape.channels;
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  CheckPoolMask<Dtype>(shape);
  ForEachPoolImage(shape, [&](int64_t n, int64_t c, int64_t count) {
    Dtype* image = dx + n * in * step + c;
    Clear(in, step, count, image);
    for (int64_t p = 0; p < out; ++p) {
      const int64_t at = (n * out + p) * step + c;
      for (int64_t i = 0; i < count; ++i) {
        const Dtype place = mask[at + i];
        if (!(place >= 0 && place < static_cast<Dtype>(in))) continue;
        image[static_cast<int64_t>(place) * step + i] += dy[at + i];
      }
    }
  });
}

template <typename Dtype>
void AveragePoolBackward(const PoolShape& any, Order order, const Dtype* dy,
                         Dtype* dx) {
  const PoolShape shape = WithChannelsLast(any, order);
  const int64_t step = shape.channels;
  const int64_t rows = shape.out_pixels() / shape.axes.back().out;
  ForEachPoolImage(shape, [&](int64_t n, int64_t c, int64_t count) {
    const Scratch<int64_t> starts(MostPoolStarts(shape));
    PoolRow row;
    row.starts = starts.data();
    Clear(shape.in_pixels(), step, count,
          dx + n * shape.in_pixels() * step + c);
    for (int64_t r = 0; r < rows; ++r) {
      VisitPoolRow(shape, n * rows + r, c, count, &row,
                   [&](const PoolRow& windows, int64_t to, int64_t from,
                       int64_t channels) {
                     ShareRow(windows, shape.axes.back(), step, channels,
                              dy + from, dx + to);
                   });
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                             \
  template void CheckPoolMask<Dtype>(const PoolShape&);                    \
  template void MaskedPoolBackward(const PoolShape&, Order, const Dtype*,  \
                                   const Dtype*, Dtype*);                  \
  template void AveragePoolBackward(const PoolShape&, Order, const Dtype*, \
                                    Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
