#include "kernels/conv/conv_winograd_grid.hpp"

#include <algorithm>

namespace p3d {

bool WinogradGrid::CanDo(const ConvShape& shape) {
  int64_t threes = 0;
  for (const ConvAxis& axis : shape.axes) {
    const bool plain = axis.stride == 1 && axis.dilation == 1;
    const bool padded = axis.pad_begin > 0 || axis.pad_end > 0;
    if (!plain) return false;
    if (axis.kernel == 3) {
      ++threes;
    } else if (axis.kernel != 1 || padded) {
      return false;
    }
  }
  return threes == 2 && shape.group == 1 && shape.pad_mode == PadMode::kZero;
}

WinogradGrid::WinogradGrid(const ConvShape& shape)
    : channels_(shape.channels),
      num_output_(shape.num_output),
      before_(shape.num) {
  int64_t threes = 0;
  for (const ConvAxis& axis : shape.axes) {
    if (axis.kernel == 3) {
      (threes++ ? second_ : first_) = axis;
    } else {
      (threes == 0 ? before_ : threes == 1 ? between_ : behind_) *= axis.in;
    }
  }
}

// Products along an axis that are not with padding.
double WinogradGrid::Seen(const ConvAxis& axis) {
  double seen = 0;
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    const int64_t first = std::max<int64_t>(axis.pad_begin - tap, 0);
    const int64_t last = std::min(axis.out(), axis.in + axis.pad_begin - tap);
    seen += std::max<int64_t>(last - first, 0);
  }
  return seen;
}

WinogradGrid::Tile WinogradGrid::At(int64_t index) const {
  Tile tile;
  tile.behind = index % behind_;
  index /= behind_;
  tile.column = index % Tiles(second_) * 2;
  index /= Tiles(second_);
  tile.between = index % between_;
  index /= between_;
  tile.row = index % Tiles(first_) * 2;
  tile.before = index / Tiles(first_);
  return tile;
}

void WinogradGrid::Next(Tile* tile) const {
  if (++tile->behind < behind_) return;
  tile->behind = 0;
  if ((tile->column += 2) < second_.out()) return;
  tile->column = 0;
  if (++tile->between < between_) return;
  tile->between = 0;
  if ((tile->row += 2) < first_.out()) return;
  tile->row = 0;
  ++tile->before;
}

template <typename Value>
void WinogradGrid::LocateInputs(const Tile& tile, const Value* x,
                                const Value* zeros,
                                const Value** inputs) const {
  const int64_t step = behind_ * channels_;
  const int64_t pitch = between_ * second_.in * step;
  const int64_t top = tile.row - first_.pad_begin;
  const int64_t left = tile.column - second_.pad_begin;
  const int64_t start = (tile.before * first_.in + top) * pitch +
                        (tile.between * second_.in + left) * step +
                        tile.behind * channels_;
  for (int64_t i = 0; i < 4; ++i) {
    const bool row = top + i >= 0 && top + i < first_.in;
    for (int64_t j = 0; j < 4; ++j) {
      const bool inside = row && left + j >= 0 && left + j < second_.in;
      *inputs++ = inside ? x + start + i * pitch + j * step : zeros;
    }
  }
}

void WinogradGrid::LocateOutputs(const Tile& tile, int64_t* places) const {
  const int64_t rows = first_.out(), columns = second_.out();
  const int64_t step = behind_ * num_output_;
  const int64_t pitch = between_ * columns * step;
  const int64_t start = (tile.before * rows + tile.row) * pitch +
                        (tile.between * columns + tile.column) * step +
                        tile.behind * num_output_;
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      const bool inside = tile.row + i < rows && tile.column + j < columns;
      *places++ = inside ? start + i * pitch + j * step : -1;
    }
  }
}

int64_t WinogradGrid::FirstInput(int64_t index) const {
  const Tile tile = At(index);
  const int64_t top = std::max<int64_t>(tile.row - first_.pad_begin, 0);
  return (tile.before * first_.in + std::min(top, first_.in)) * between_ *
         second_.in * behind_ * channels_;
}

template void WinogradGrid::LocateInputs(const Tile&, const float*,
                                         const float*, const float**) const;
template void WinogradGrid::LocateInputs(const Tile&, const Bf16*, const Bf16*,
                                         const Bf16**) const;

}  // namespace p3d
