#ifndef P3D_KERNELS_CONV_TILE_CUDA_HPP_
#define P3D_KERNELS_CONV_TILE_CUDA_HPP_

// Convolutions and their gradients as matrix products whose operands are read
// from where they lie (implicit GEMM). A block of threads makes one square tile
//
//   sum[row][column] = sum over k of a[k][row] * b[k][column]
//
// in the order of k, whatever the tile's side: so a choice between tiles never
// shows in a result. Slabs of 8 k go through shared memory; each thread has
// its share of the sums in registers.

#include <cstdint>

#include "kernels/conv/conv_fours_cuda.hpp"
#include "kernels/conv/conv_problem_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/cuda/divider_cuda.hpp"

namespace p3d {
namespace cuda {

constexpr int kSlab = 8;
// Terms that may be summed in float; longer sums are joined in double.
constexpr int kTerms = 8192;
// Blocks from which on a GPU has enough to do.
constexpr int64_t kEnoughBlocks = 256;

// The tiles of a product, counted: columns fastest, then rows, groups, slices.
struct TileGrid {
  int64_t row_tiles, column_tiles, groups, slices;

  TileGrid(int side, int64_t rows, int64_t columns, int64_t groups,
           int64_t slices = 1)
      : row_tiles((rows + side - 1) / side),
        column_tiles((columns + side - 1) / side),
        groups(groups),
        slices(slices),
        by_columns(column_tiles),
        by_rows(row_tiles),
        by_groups(groups) {}
  int64_t blocks() const { return row_tiles * column_tiles * groups * slices; }

  // Where there are at most kMaxTiles.
  Divider by_columns, by_rows, by_groups;
};

// Whether tiles of this side are the right ones: small ones are slower, but
// large ones have to be many, and filled.
inline bool TilesSuit(int side, const TileGrid& grid, int64_t rows,
                      int64_t columns) {
  if (side == 32) return columns >= 8;
  return grid.blocks() >= kEnoughBlocks &&
         4 * rows >= 3 * side * grid.row_tiles &&
         4 * columns >= 3 * side * grid.column_tiles;
}

// One tile: where it begins, and of which group and slice. All are at most
// kMaxTiles.
struct TilePlace {
  P3D_HOST_DEVICE TilePlace(const TileGrid& grid, int side, int64_t block) {
    const int tile = static_cast<int>(block);
    const int rest = grid.by_columns(tile), outer = grid.by_rows(rest);
    column = (tile - rest * grid.by_columns.by()) * side;
    row = (rest - outer * grid.by_rows.by()) * side;
    slice = grid.by_groups(outer);
    group = outer - slice * grid.by_groups.by();
  }
  int row, column, group, slice;
};

// What one thread reads of an operand's slab: the four values at `k` and
// `outer`, its row in a or column in b; four neighbours along k, or across.
struct Spot {
  static P3D_HOST_DEVICE Spot Along(int lane) {
    return {lane % 2 * 4, lane / 2};
  }
  static P3D_HOST_DEVICE Spot Across(int side, int lane) {
    return {lane / (side / 4), lane % (side / 4) * 4};
  }
  int k, outer;
};

// The tap of a convolution in hand. Taps follow in the weights' order.
struct Tap {
  int l = 0, h = 0, w = 0, index = 0;

  Tap() = default;
  P3D_HOST_DEVICE Tap(const Problem<int>& at, int index) : index(index) {
    const int line = index / at.w.kernel;
    w = index - line * at.w.kernel;
    l = line / at.h.kernel;
    h = line - l * at.h.kernel;
  }
  P3D_HOST_DEVICE void Next(const Problem<int>& at) {
    ++index;
    if (++w < at.w.kernel) return;
    w = 0;
    if (++h < at.h.kernel) return;
    h = 0;
    ++l;
  }
};

// Few inputs leave slabs empty. Then all taps along w become one: what they see
// are neighbours in memory.
inline Problem<int> Folded(Problem<int> at) {
  if (at.inputs % kSlab == 0 || at.groups != 1 || at.w.dilation != 1 ||
      at.w.replicate) {
    return at;
  }
  at.inputs *= at.w.kernel;
  at.w.kernel = 1;
  return at;
}

// Makes the tiles of a Job, a struct with
//
//   TileGrid grid;
//   Reader: made of (job, place, lane), it walks through the slabs
//     kAlongA, kAlongB    whether the fours of a and b lie along k
//     slabs()             how many there are
//     A(), B()            the four at this thread's spot; zeros past the end
//     Next()              on to the next slab
//   Store(place, row, column, four)   takes sums of four columns
//
// MakeTiles runs them.
template <typename Dtype, int side, typename Job>
struct Tiles {
  static constexpr int kLanes = 2 * side;  // a four of a and of b each
  static constexpr int kSlabs = side == 128 ? 1 : 2;  // at a time
  static constexpr int kRows = side == 32 ? 4 : 8, kColumns = side / 2 / kRows;
  // The smallest tile has registers left for it.
  static constexpr bool kJoined = side == 32 && sizeof(Dtype) == 4;

  // Whether so many terms can be summed without a loss of digits.
  static bool CanSum(int64_t terms) {
    return kJoined || sizeof(Dtype) == 8 || terms <= kTerms;
  }

  // Rows are padded for the memory banks' sake.
  struct alignas(16) Shared {
    Dtype a[kSlabs * kSlab][side + 4];
    Dtype b[kSlabs * kSlab][side + 4];
  };

  class Lane {
   public:
    P3D_HOST_DEVICE Lane(const Tiles& tiles, int64_t block, int lane)
        : job_(tiles.job),
          place_(job_.grid, side, block),
          reader_(job_, place_, lane),
          lane_(lane) {
      // A warp has 4 x 8 threads: few banks are asked for at a time.
      constexpr int kWarps = side / kColumns / 8;
      const int warp = lane / 32, row = lane % 32 / 8, column = lane % 8;
      row_ = (warp / kWarps * 4 + row) * 4;
      column_ = (warp % kWarps * 8 + column) * 4;
    }

    P3D_HOST_DEVICE int steps() const {
      return (reader_.slabs() + kSlabs - 1) / kSlabs;
    }

    P3D_HOST_DEVICE void Fetch() {
      P3D_UNROLL
      for (int slab = 0; slab < kSlabs; ++slab) {
        a_[slab] = reader_.A();
        b_[slab] = reader_.B();
        reader_.Next();
      }
    }

    P3D_HOST_DEVICE void Put(Shared* shared) const {
      P3D_UNROLL
      for (int slab = 0; slab < kSlabs; ++slab) {
        PutFour<Job::Reader::kAlongA>(a_[slab], &shared->a[slab * kSlab]);
        PutFour<Job::Reader::kAlongB>(b_[slab], &shared->b[slab * kSlab]);
      }
    }

    P3D_HOST_DEVICE void Multiply(const Shared& shared) {
      P3D_UNROLL
      for (int k = 0; k < kSlabs * kSlab; ++k) {
        Four<Dtype> a[kRows / 4], b[kColumns / 4];
        Take(shared.a[k], row_, a);
        Take(shared.b[k], column_, b);
        P3D_UNROLL
        for (int r = 0; r < kRows; ++r) {
          P3D_UNROLL
          for (int c = 0; c < kColumns; ++c) {
            sums_[r][c / 4].v[c % 4] += a[r / 4].v[r % 4] * b[c / 4].v[c % 4];
          }
        }
      }
      if (kJoined && (terms_ += kSlabs * kSlab) == kTerms) Join();
    }

    P3D_HOST_DEVICE void Store() {
      if (kJoined) Join();
      P3D_UNROLL
      for (int r = 0; r < kRows; ++r) {
        P3D_UNROLL
        for (int c = 0; c < kColumns / 4; ++c) {
          Four<Dtype> four = sums_[r][c];
          if (kJoined) {
            P3D_UNROLL
            for (int i = 0; i < 4; ++i)
              four.v[i] = static_cast<Dtype>(totals_[r][c].v[i]);
          }
          job_.Store(place_, place_.row + Outer<kRows>(row_, r / 4) + r % 4,
                     place_.column + Outer<kColumns>(column_, c), four);
        }
      }
    }

   private:
    // Where a thread's four number `index` of `count` values lies in a tile.
    template <int count>
    static P3D_HOST_DEVICE int Outer(int first, int index) {
      return index * (side / (count / 4)) + first;
    }

    template <int fours>
    static P3D_HOST_DEVICE void Take(const Dtype* row, int first,
                                     Four<Dtype> (&to)[fours]) {
      P3D_UNROLL
      for (int f = 0; f < fours; ++f) {
        to[f] = *reinterpret_cast<const Four<Dtype>*>(
            row + Outer<4 * fours>(first, f));
      }
    }

    template <bool along>
    P3D_HOST_DEVICE void PutFour(const Four<Dtype>& four,
                                 Dtype (*slab)[side + 4]) const {
      const Spot spot = along ? Spot::Along(lane_) : Spot::Across(side, lane_);
      if (along) {
        P3D_UNROLL
        for (int i = 0; i < 4; ++i) slab[spot.k + i][spot.outer] = four.v[i];
      } else {
        *reinterpret_cast<Four<Dtype>*>(&slab[spot.k][spot.outer]) = four;
      }
    }

    P3D_HOST_DEVICE void Join() {
      terms_ = 0;
      P3D_UNROLL
      for (int r = 0; r < kRows; ++r) {
        P3D_UNROLL
        for (int c = 0; c < kColumns; ++c) {
          totals_[r][c / 4].v[c % 4] += sums_[r][c / 4].v[c % 4];
          sums_[r][c / 4].v[c % 4] = 0;
        }
      }
    }

    const Job& job_;
    const TilePlace place_;
    typename Job::Reader reader_;
    const int lane_;
    int row_, column_;
    Four<Dtype> a_[kSlabs], b_[kSlabs];
    Four<Dtype> sums_[kRows][kColumns / 4] = {};
    Four<double> totals_[kJoined ? kRows : 1][kColumns / 4] = {};
    int terms_ = 0;  // in sums_, where they are joined
  };

  Job job;
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_TILE_CUDA_HPP_
