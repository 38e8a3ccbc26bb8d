#ifndef P3D_KERNELS_CONV_SLICES_CUDA_HPP_
#define P3D_KERNELS_CONV_SLICES_CUDA_HPP_

// Long sums of few values: cut into slices that different blocks of threads
// take side by side, each into an array of its own, and joined in the slices'
// order by another kernel. How depends on the shape alone.

#include <algorithm>
#include <cstdint>

#include "kernels/conv_tile_cuda.hpp"

namespace p3d {
namespace cuda {

// Terms of a slice's sums: enough that its own pass over memory does not show.
constexpr int64_t kLeastSlice = 256;

// Slices that keep a GPU busy whose tiles alone are `blocks`, which is few.
inline int64_t WantedSlices(int64_t blocks, int64_t terms) {
  return std::min(4 * kEnoughBlocks / blocks + 1, terms / kLeastSlice);
}

// How many slabs there are of a sum that goes through the taps and `depth`
// values of each.
P3D_HOST_DEVICE inline int SlabsOf(int taps, int depth) {
  return taps * ((depth + kSlab - 1) / kSlab);
}

// The slices of such sums, for the tiles of a product. They have an even number
// of slabs, since tiles take two at a time.
struct TapSlices {
  TapSlices() = default;
  TapSlices(int slabs, int64_t rows, int64_t columns, int64_t groups)
      : length(slabs) {
    const TileGrid grid(32, rows, columns, groups);
    if (!TilesSuit(32, grid, rows, columns)) return;
    if (grid.blocks() >= kEnoughBlocks) return;
    const int wanted =
        static_cast<int>(WantedSlices(grid.blocks(), int64_t{slabs} * kSlab));
    if (wanted <= 1) return;
    length = (slabs + 2 * wanted - 1) / (2 * wanted) * 2;
    count = (slabs + length - 1) / length;
  }
  // All of it in one.
  void Join() {
    length *= count;
    count = 1;
  }
  int count = 1, length = 0;  // of one, in slabs
};

// What a slice goes through.
struct Stretch {
  P3D_HOST_DEVICE Stretch(int taps, int depth, int length, int slice) {
    const int slab = slice * length, each = SlabsOf(1, depth);
    slabs = static_cast<int>(Smaller(length, SlabsOf(taps, depth) - slab));
    tap = slab / each;
    first = (slab - tap * each) * kSlab;
  }
  int slabs, tap, first;  // first: of the values of its first tap
};

// Value i of `slices` arrays of `count` values, joined.
template <typename Dtype>
P3D_HOST_DEVICE Dtype JoinedValue(int64_t slices, int64_t count,
                                  const Dtype* parts, int64_t i) {
  double sum = 0;
  P3D_UNROLL_4
  for (int64_t s = 0; s < slices; ++s) sum += parts[s * count + i];
  return static_cast<Dtype>(sum);
}

// to = the sum of the slices' arrays; with `add` +=.
template <typename Dtype>
struct JoinSlices {
  int64_t slices, count;
  const Dtype* parts;
  bool add;
  Dtype* to;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    to[i] = (add ? to[i] : 0) + JoinedValue(slices, count, parts, i);
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_SLICES_CUDA_HPP_
