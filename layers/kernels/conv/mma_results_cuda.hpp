#ifndef P3D_KERNELS_MMA_RESULTS_CUDA_HPP_
#define P3D_KERNELS_MMA_RESULTS_CUDA_HPP_

#include <cstdint>

#include "kernels/conv/conv_fours_cuda.hpp"
#include "kernels/conv/conv_tile_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"

namespace p3d {
namespace cuda {

// Where the results of tiles lie whose rows are pixels: arrays of `rows` pixels
// of all images, each of `width` values, of which a group has `columns`.
// `whole` or `is_whole`: as many as fill 16 bytes are read and written at once.
template <bool whole>
struct ResultRows {
  int rows, width, columns;
  bool is_whole;

  P3D_HOST_DEVICE bool Has(int row, int column) const {
    return row < rows && column < columns;
  }
  P3D_HOST_DEVICE int64_t count() const { return Product(rows, width); }

  // From that column of the group on; undefined where there is none.
  template <int count, typename Value>
  P3D_HOST_DEVICE Values<Value, count> Get(const Value* array,
                                           const TilePlace& place, int row,
                                           int column) const {
    if (!whole && !is_whole)
      return Read<false, count>(array + First(place, row), column, 0,
                                row < rows ? columns : 0);
    // There is something to read in the last row and column, which are of the
    // same tile: a value that may be zero instead takes a GPU an instruction
    // for each half of a register.
    const int last = columns - count;
    const int64_t at = First(place, row < rows ? row : rows - 1) +
                       (column < last ? column : last);
    return *reinterpret_cast<const Values<Value, count>*>(array + at);
  }
  // Of a row that there is.
  template <typename Value, int count>
  P3D_HOST_DEVICE void Put(const Values<Value, count>& values,
                           const TilePlace& place, int row, int column,
                           Value* array) const {
    Write<whole>(values, false, array + First(place, row), column, columns,
                 is_whole);
  }

 private:
  P3D_HOST_DEVICE int64_t First(const TilePlace& place, int row) const {
    return Product(row, width) + place.group * columns;
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MMA_RESULTS_CUDA_HPP_
