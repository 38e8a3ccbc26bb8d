#include "kernels/epilogue_backward.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// The loops are one each, without branches or aliases, so that compilers turn
// them into vectors. A row stays in L1 between them.
template <typename Value>
void Mask(const Value* __restrict y, int64_t count, float* __restrict d) {
  for (int64_t i = 0; i < count; ++i) d[i] = y[i] > 0 ? d[i] : 0.f;
}

void Give(const float* __restrict d, int64_t count, float factor, bool add,
          float* __restrict to) {
  if (add) {
    for (int64_t i = 0; i < count; ++i) to[i] += factor * d[i];
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = factor * d[i];
  }
}

void Scale(const float* __restrict scale, int64_t count, float factor,
           float* __restrict d) {
  if (scale) {
    for (int64_t i = 0; i < count; ++i) d[i] *= factor * scale[i];
  } else if (factor != 1) {
    for (int64_t i = 0; i < count; ++i) d[i] *= factor;
  }
}

}  // namespace

template <typename Value>
void EpilogueBackward(const ConvEpilogue& epilogue, int64_t rows,
                      int64_t channels, const Value* y, float* dy,
                      float* dresidual, bool add) {
  const bool relu = epilogue.inner_relu || epilogue.outer_relu;
  const float alpha = epilogue.residual ? epilogue.alpha : 1.f;
  ParallelRanges(rows, RowsPerRange(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t start = row * channels;
      float* d = dy + start;
      if (relu) Mask(y + start, channels, d);
      if (dresidual) {
        Give(d, channels, epilogue.beta, add, dresidual + start);
      }
      Scale(epilogue.scale, channels, alpha, d);
    }
  });
}

template void EpilogueBackward(const ConvEpilogue&, int64_t, int64_t,
                               const float*, float*, float*, bool);
template void EpilogueBackward(const ConvEpilogue&, int64_t, int64_t,
                               const Bf16*, float*, float*, bool);

}  // namespace p3d
