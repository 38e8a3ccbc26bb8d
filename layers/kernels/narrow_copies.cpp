#include "kernels/narrow_copies.hpp"

#include <algorithm>

#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Pixels whose values stay in L1 between their reading and their writing.
constexpr int64_t kTile = 64;

void Round(const Bf16Kernels& kernels, const float* from, int64_t count,
           Bf16* to) {
  kernels.round(from, count, to);
}
void Round(const Bf16Kernels&, const float* from, int64_t count, Fp16* to) {
  std::copy_n(from, count, to);
}

}  // namespace

template <typename Value>
void Narrow(const float* from, int64_t count, Value* to) {
  const Bf16Kernels& kernels = Bf16KernelsFor(ActiveIsa());
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    Round(kernels, from + begin, end - begin, to + begin);
  });
}

template <typename Value>
void Widen(const Value* from, int64_t count, float* to) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    std::copy(from + begin, from + end, to + begin);
  });
}

// Rounding and turning are loops of their own: the first takes vector
// instructions.
template <typename Value>
void NarrowToChannelsLast(const Geometry& g, const float* from, Value* to) {
  const Bf16Kernels& kernels = Bf16KernelsFor(ActiveIsa());
  const int64_t tiles = CeilDiv(g.pixels, kTile);
  ParallelRanges(
      g.num * tiles, RowsPerRange(g.channels * kTile),
      [&](int64_t begin, int64_t end) {
        Value rounded[kTile];
        for (int64_t tile = begin; tile < end; ++tile) {
          const int64_t first = tile % tiles * kTile;
          const int64_t count = std::min(kTile, g.pixels - first);
          const int64_t n = tile / tiles;
          for (int64_t c = 0; c < g.channels; ++c) {
            const float* in = from + (n * g.channels + c) * g.pixels + first;
            Value* out = to + (n * g.pixels + first) * g.channels + c;
            Round(kernels, in, count, rounded);
            for (int64_t p = 0; p < count; ++p) {
              out[p * g.channels] = rounded[p];
            }
          }
        }
      });
}

#define P3D_INSTANTIATE(Value)                         \
  template void Narrow(const float*, int64_t, Value*); \
  template void Widen(const Value*, int64_t, float*);  \
  template void NarrowToChannelsLast(const Geometry&, const float*, Value*)
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace p3d
