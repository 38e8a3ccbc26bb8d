#include "kernels/panel_product.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"

namespace p3d {

void Multiply(const IgemmKernel& kernel, const PanelProduct& p) {
  constexpr int kMostRows = 16;
  const TapRun run = {0, 0, p.depth};
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
  const int64_t tiles = CeilDiv(p.rows, kernel.rows);
  const int64_t small = p.rows / tiles, large = p.rows % tiles;
  tile.x_step = p.a_pitch;
  const int64_t row_step = p.turned ? 1 : p.a_pitch;
  const IgemmTileFunction* functions =
      (p.turned ? kernel.outer : kernel.tiles) +
      CeilDiv(p.width, kernel.vector) - 1;
  int64_t row = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t rows = small + (i < large);
    int64_t* here = places[i % 2];
    int64_t* ahead = places[(i + 1) % 2];
    for (int64_t r = 0; r < rows; ++r) {
      here[r] = (row + r) * row_step;
      ahead[r] = std::min(row + rows + r, p.rows - 1) * row_step;
      y_places[r] = (row + r) * p.y_pitch;
    }
    tile.x_places = here;
    tile.next_places = i + 1 < tiles ? ahead : nullptr;
    functions[(rows - 1) * kernel.vectors](tile);
    row += rows;
  }
}

}  // namespace p3d
