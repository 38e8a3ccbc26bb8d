#ifndef P3D_KERNELS_CONV_SLICES_CUDA_HPP_
#define P3D_KERNELS_CONV_SLICES_CUDA_HPP_

// Long sums of few values: cut into slices that different blocks of threads
// take side by side, each into an array of its own, and joined in the slices'
// order by another kernel. How depends on the shape alone.

#include <algorithm>
#include <cstdint>

#include "kernels/conv/conv_tile_cuda.hpp"
#include "kernels/cuda/runs_cuda.hpp"

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

// How many slices such sums of a product are to have.
inline int64_t WantedTapSlices(int slabs, int64_t rows, int64_t columns,
                               int64_t groups) {
  const TileGrid grid(32, rows, columns, groups);
  if (!TilesSuit(32, grid, rows, columns) || grid.blocks() >= kEnoughBlocks)
    return 1;
  return std::max<int64_t>(WantedSlices(grid.blocks(), int64_t{slabs} * kSlab),
                           1);
}

// The same where tensor cores take the sums, of so many terms. They are done
// with 512 of them before a second kernel has begun and joined slices. The
// smallest tiles, of 64 x 64, are counted: larger ones are for products that
// have enough of those.
inline int64_t WantedMmaSlices(int64_t terms, int64_t rows, int64_t columns,
                               int64_t groups) {
  if (columns < 8) return 1;  // see MmaSuits
  const TileGrid grid(64, rows, columns, groups);
  const int64_t wanted =
      std::min(kEnoughBlocks / grid.blocks(), terms / kLeastSlice);
  return wanted > 1 && terms - terms / wanted >= 512 ? wanted : 1;
}

// Slabs cut into slices: at most as many as are wanted, each of a multiple of
// `step` slabs but for the last one.
struct TapSlices {
  TapSlices() = default;
  TapSlices(int slabs, int64_t wanted, int step) {
    const int all = static_cast<int>(wanted) * step;
    length = (slabs + all - 1) / all * step;
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

// A run of `slices` arrays of `count` values, joined; it begins with value i.
template <typename Runs, typename Dtype>
P3D_HOST_DEVICE Run<Dtype, Runs::kWidth> JoinedRun(int64_t slices,
                                                   int64_t count,
                                                   const Dtype* parts,
                                                   int64_t i) {
  constexpr int n = Runs::kWidth;
  double sums[n] = {};
  P3D_UNROLL_4
  for (int64_t s = 0; s < slices; ++s) {
    const auto part = Runs::Read(parts + s * count + i);
    P3D_UNROLL
    for (int k = 0; k < n; ++k) sums[k] += part[k];
  }
  Run<Dtype, n> joined;
  P3D_UNROLL
  for (int k = 0; k < n; ++k) joined[k] = static_cast<Dtype>(sums[k]);
  return joined;
}

// to = the sum of the slices' arrays; with `add` +=.
template <typename Value>
struct JoinSlices {
  using Real = RealOf<Value>;
  int64_t slices, count;
  const Real* parts;
  bool add;
  Value* to;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      auto sums = JoinedRun<Runs>(slices, count, parts, i);
      if (add) {
        const auto old = Runs::Read(to + i);
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) sums[k] = old[k] + sums[k];
      }
      Runs::Write(sums, to + i);
    });
  }
};

template <typename Value>
void Join(CUstream_st* stream, const char* kernel,
          const JoinSlices<Value>& join) {
  // Or else only the first slice's runs are aligned.
  const bool whole = join.count % (kRunBytes / sizeof(Value)) == 0;
  ForEachRun<Value>(stream, kernel, join.count,
                    whole && Aligned(join.parts, join.to), join);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_SLICES_CUDA_HPP_
