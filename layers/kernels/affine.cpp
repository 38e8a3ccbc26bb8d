#include "kernels/affine.hpp"

#include <algorithm>

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

template void ScaleShift(const Broadcast&, const float*, const float*,
                         const float*, const float*, float*);
template void ScaleShift(const Broadcast&, const double*, const double*,
                         const double*, const double*, double*);

}  // namespace p3d
