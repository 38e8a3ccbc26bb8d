#ifndef P3D_KERNELS_CONV_WINOGRAD_GRID_HPP_
#define P3D_KERNELS_CONV_WINOGRAD_GRID_HPP_

#include <cstdint>

#include "kernels/conv/conv.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

// Where the tiles of 2x2 outputs lie. The batch and the axes that the kernel
// does not touch are one each before, between and behind the two that it does.
class WinogradGrid {
 public:
  explicit WinogradGrid(const ConvShape& shape);

  // Whether the kernel is 3x3 and the grid stands for all of the axes.
  static bool CanDo(const ConvShape& shape);

  int64_t tiles() const {
    return before_ * between_ * behind_ * Tiles(first_) * Tiles(second_);
  }
  // Multiplications per input and output channel of a direct convolution that
  // leaves out the padding.
  double seen() const {
    return 1. * before_ * between_ * behind_ * Seen(first_) * Seen(second_);
  }

  // A tile's first input (it may be padding) and output along the two axes, and
  // where it is along the others.
  struct Tile {
    int64_t before, row, between, column, behind;
  };
  Tile At(int64_t index) const;
  void Next(Tile* tile) const;
  // A tile's 16 inputs, `zeros` where there is padding, and the places of its
  // four outputs, -1 where there is none.
  template <typename Value>
  void LocateInputs(const Tile& tile, const Value* x, const Value* zeros,
                    const Value** inputs) const;
  void LocateOutputs(const Tile& tile, int64_t* places) const;
  // Where the rows begin that the tiles from `index` on read, index <= tiles().
  int64_t FirstInput(int64_t index) const;

 private:
  static int64_t Tiles(const ConvAxis& axis) { return CeilDiv(axis.out(), 2); }
  static double Seen(const ConvAxis& axis);

  int64_t channels_, num_output_;
  int64_t before_, between_ = 1, behind_ = 1;
  ConvAxis first_, second_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WINOGRAD_GRID_HPP_
