#include "kernels/pool_windows.hpp"

namespace p3d {

void SetPoolRow(const PoolShape& shape, int64_t row, PoolRow* result) {
  result->size = 1;
  result->count = 1;
  result->starts[0] = 0;
  int64_t rows_below = shape.out_pixels() / shape.axes.back().out;
  for (size_t i = 0; i + 1 < shape.axes.size(); ++i) {
    const PoolAxis& axis = shape.axes[i];
    rows_below /= axis.out;
    const PoolRange range(axis, row / rows_below % axis.out);
    const int64_t steps = range.end - range.begin;
    // Each start so far becomes `steps` starts; from the back, as they grow.
    for (int64_t r = result->count; r-- > 0;) {
      for (int64_t s = steps; s-- > 0;) {
        result->starts[r * steps + s] =
            result->starts[r] * axis.in + range.begin + s;
      }
    }
    result->count *= steps;
    result->size *= range.padded;
  }
  const int64_t width = shape.axes.back().in;
  for (int64_t r = 0; r < result->count; ++r) result->starts[r] *= width;
}

int64_t MostPoolStarts(const PoolShape& shape) {
  int64_t most = 1;
  for (size_t i = 0; i + 1 < shape.axes.size(); ++i) {
    most *= std::min(shape.axes[i].kernel, shape.axes[i].in);
  }
  return most;
}

PoolShape WithChannelsLast(const PoolShape& shape, Order order) {
  PoolShape result = shape;
  if (order == Order::kCaffe) {
    result.num *= result.channels;
    result.channels = 1;
  }
  return result;
}

}  // namespace p3d
