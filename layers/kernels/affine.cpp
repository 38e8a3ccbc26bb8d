#include "kernels/affine.hpp"

#include <algorithm>

#include "kernels/channel_sums.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

template <typename Dtype>
void ScaleRow(int64_t count, const Dtype* center, const Dtype* scale,
              const Dtype* shift, const Dtype* x, Dtype* y) {
  for (int64_t d = 0; d < count; ++d) {
    y[d] = (x[d] - center[d]) * scale[d] + shift[d];
  }
}

template <typename Dtype>
void ScalePlane(int64_t count, Dtype center, Dtype scale, Dtype shift,
                const Dtype* x, Dtype* y) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = (x[i] - center) * scale + shift;
  }
}

}  // namespace

Broadcast Broadcast::Channels(const Geometry& geometry, Order order) {
  if (order == Order::kCaffe) {
    return {geometry.num, geometry.channels, geometry.pixels};
  }
  return {geometry.num * geometry.pixels, geometry.channels, 1};
}

template <typename Dtype>
void ScaleShift(const Broadcast& shape, const Dtype* center, const Dtype* scale,
                const Dtype* shift, const Dtype* x, Dtype* y) {
  const int64_t dim = shape.dim;
  const Scratch<Dtype> defaults(2 * dim);
  Dtype* zeros = defaults.data();
  Dtype* ones = zeros + dim;
  std::fill(zeros, zeros + dim, Dtype(0));
  std::fill(ones, ones + dim, Dtype(1));
  if (!center) center = zeros;
  if (!scale) scale = ones;
  if (!shift) shift = zeros;
  if (shape.inner == 1) {
    ParallelRanges(
        shape.outer, RowsPerRange(dim), [&](int64_t begin, int64_t end) {
          for (int64_t o = begin; o < end; ++o) {
            ScaleRow(dim, center, scale, shift, x + o * dim, y + o * dim);
          }
        });
    return;
  }
  const int64_t inner = shape.inner;
  ParallelRanges(shape.outer * dim, RowsPerRange(inner),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t d = row % dim;
                     ScalePlane(inner, center[d], scale[d], shift[d],
                                x + row * inner, y + row * inner);
                   }
                 });
}

template <typename Dtype>
void ScaleShiftGradients(const Broadcast& shape, const Dtype* x,
                         const Dtype* dy, Dtype* dscale, Dtype* dshift) {
  const Scratch<double> sums(2 * shape.dim);
  double* products = sums.data();
  double* plain = products + shape.dim;
  const Dtype* factor = dscale ? x : dy;
  SumChannels(
      shape,
      [=](int64_t) {
        return [=](int64_t i) {
          const double d = dy[i];
          return Pair{d * factor[i], d};
        };
      },
      products, plain);
  for (int64_t d = 0; d < shape.dim; ++d) {
    if (dscale) dscale[d] += static_cast<Dtype>(products[d]);
    if (dshift) dshift[d] += static_cast<Dtype>(plain[d]);
  }
}

#define P3D_INSTANTIATE(Dtype)                                           \
  template void ScaleShift(const Broadcast&, const Dtype*, const Dtype*, \
                           const Dtype*, const Dtype*, Dtype*);          \
  template void ScaleShiftGradients(const Broadcast&, const Dtype*,      \
                                    const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
