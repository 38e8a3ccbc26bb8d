#include "kernels/conv/panel_product.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/conv/tap_copy-inl.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

constexpr int kMostRows = 12;
// So few values of all rows are copied at a time that their lines stay in L1
// while tiles share them.
constexpr int64_t kCopyDepth = 8;

// Rows cut into tiles of as similar sizes as possible.
struct Tiles {
  Tiles(const IgemmKernel& kernel, int64_t rows)
      : count(CeilDiv(rows, kernel.rows)),
        small(rows / count),
        large(rows % count) {}
  int64_t rows(int64_t tile) const { return small + (tile < large); }
  int64_t count, small, large;
};

template <int kRows>
void CopyTile(const float* from, int64_t pitch, int64_t depth, float* to) {
  for (int64_t d = 0; d < depth; ++d, from += pitch, to += kRows) {
    __builtin_prefetch(from + kCopyDepth * pitch);
    std::memcpy(to, from, kRows * sizeof(float));
  }
}

template <int kRows>
void CopyTile(const Bf16* from, int64_t pitch, int64_t depth, float* to) {
  static const Bf16 kNothing[kRows] = {};
  for (int64_t d = 0; d < depth; d += 2, from += 2 * pitch, to += kRows) {
    __builtin_prefetch(from + kCopyDepth * pitch);
    __builtin_prefetch(from + (kCopyDepth + 1) * pitch);
    JoinPairs(from, d + 1 < depth ? from + pitch : kNothing, kRows, to);
  }
}

template <typename Value>
using CopyTileFunction = void (*)(const Value*, int64_t, int64_t, float*);
template <typename Value>
const CopyTileFunction<Value> kCopyTile[kMostRows] = {
    CopyTile<1>, CopyTile<2>,  CopyTile<3>,  CopyTile<4>,
    CopyTile<5>, CopyTile<6>,  CopyTile<7>,  CopyTile<8>,
    CopyTile<9>, CopyTile<10>, CopyTile<11>, CopyTile<12>};

}  // namespace

template <typename Value>
void PackTurned(const IgemmKernel& kernel, const Value* a, int64_t a_pitch,
                int64_t rows, int64_t depth, float* packed) {
  const Tiles tiles(kernel, rows);
  const int64_t words = CeilDiv(depth, kPerWord<Value>);
  for (int64_t d = 0; d < depth; d += kCopyDepth) {
    int64_t row = 0;
    for (int64_t i = 0; i < tiles.count; row += tiles.rows(i), ++i) {
      kCopyTile<Value>[tiles.rows(i) - 1](
          a + d* a_pitch + row, a_pitch, std::min(kCopyDepth, depth - d),
          packed + row* words + d / kPerWord<Value>* tiles.rows(i));
    }
  }
}

template void PackTurned(const IgemmKernel&, const float*, int64_t, int64_t,
                         int64_t, float*);
template void PackTurned(const IgemmKernel&, const Bf16*, int64_t, int64_t,
                         int64_t, float*);

void Multiply(const IgemmKernel& kernel, const PanelProduct& p) {
  TapRun run = {0, 0, p.depth};
  if (p.turned) run.row = RoundUp(p.width, kernel.vector);
  int64_t places[2][kMostRows], y_places[kMostRows];
  IgemmTile tile;
  tile.x = p.a;
  tile.runs = &run;
  tile.num_runs = 1;
  tile.weights = p.panel;
  tile.width = p.width;
  tile.epilogue.residual = p.add ? p.y : nullptr;
  tile.y = p.y;
  tile.y_places = y_places;
  tile.prefetch = nullptr;
  tile.prefetch_lines = 0;
  const Tiles tiles(kernel, p.rows);
  const IgemmTileFunction* functions =
      (p.turned ? kernel.outer : kernel.tiles) +
      CeilDiv(p.width, kernel.vector) - 1;
  int64_t row = 0;
  for (int64_t i = 0; i < tiles.count; ++i) {
    const int64_t rows = tiles.rows(i);
    int64_t* here = places[i % 2];
    int64_t* ahead = places[(i + 1) % 2];
    if (p.turned) run.x = rows;
    for (int64_t r = 0; r < rows; ++r) {
      here[r] = (row + r) * p.a_pitch + p.first * rows;
      ahead[r] = std::min(row + rows + r, p.rows - 1) * p.a_pitch;
      y_places[r] = (row + r) * p.y_pitch;
    }
    tile.x_places = here;
    tile.next_places = i + 1 < tiles.count ? ahead : nullptr;
    functions[(rows - 1) * kernel.vectors](tile);
    row += rows;
  }
}

// A tile's sums become y while the next one's are made.
void Multiply(const AmxKernels& kernels, const PanelProduct& p) {
  const int64_t chunks = p.depth / kAmxWords,
                pitch = RoundUp(p.width, kAmxRows);
  const Scratch<int64_t> places(chunks);
  const Scratch<const float*> weights(chunks);
  for (int64_t i = 0; i < chunks; ++i) {
    places.data()[i] = i * kAmxWords;
    weights.data()[i] = p.panel + i * kAmxWords * pitch;
  }
  const Scratch<float> sums(kAmxTile * kAmxTile);
  const Scratch<int64_t> y_places(p.rows);
  for (int64_t r = 0; r < p.rows; ++r) y_places.data()[r] = r * p.y_pitch;
  AmxSumsOf<float> call[2];
  kernels.begin(kAmxWords);
  for (int64_t row = 0, i = 0; row < p.rows; row += kAmxTile, ++i) {
    const float* const a = p.a + row * p.a_pitch + p.first;
    AmxProduct product = {};
    product.pixels[0] = {a, places.data(), p.a_pitch};
    product.pixels[1] = {a + kAmxRows * p.a_pitch, places.data(), p.a_pitch};
    product.weights = weights.data();
    product.pitch = pitch;
    product.end = chunks;
    AmxSumsOf<float>& now = call[i % 2];
    now = {};
    now.sums = sums.data();
    now.rows = std::min(kAmxTile, p.rows - row);
    now.width = p.width;
    now.epilogue.residual = p.add ? p.y : nullptr;
    now.y = p.y;
    now.y_places = y_places.data() + row;
    kernels.floats.multiply(product, now, i > 0 ? &call[(i + 1) % 2] : nullptr);
    if (row + kAmxTile >= p.rows) kernels.floats.end(now);
  }
  kernels.end();
}

void Multiply(const IgemmKernel& kernel, const OuterProduct& p) {
  const TapRun run = {p.a_pitch, p.b_pitch, p.depth};
  const Tiles tiles(kernel, p.rows);
  const int64_t widest = kernel.vectors * kernel.vector;
  int64_t x_place, y_places[kMostRows];
  IgemmTile tile;
  tile.x = p.a;
  tile.x_places = &x_place;
  tile.next_places = nullptr;
  tile.runs = &run;
  tile.num_runs = 1;
  tile.y_places = y_places;
  tile.prefetch = nullptr;
  tile.prefetch_lines = 0;
  for (int64_t column = 0; column < p.columns; column += widest) {
    tile.weights = p.b + column;
    tile.width = std::min(widest, p.columns - column);
    tile.y = p.y + column;
    tile.epilogue.residual = p.add ? tile.y : nullptr;
    const IgemmTileFunction* functions =
        kernel.outer + CeilDiv(tile.width, kernel.vector) - 1;
    x_place = 0;
    for (int64_t i = 0; i < tiles.count; ++i) {
      const int64_t rows = tiles.rows(i);
      for (int64_t r = 0; r < rows; ++r) {
        y_places[r] = (x_place + r) * p.y_pitch;
      }
      functions[(rows - 1) * kernel.vectors](tile);
      x_place += rows;
    }
  }
}

}  // namespace p3d
