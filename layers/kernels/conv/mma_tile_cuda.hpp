#ifndef P3D_KERNELS_MMA_TILE_CUDA_HPP_
#define P3D_KERNELS_MMA_TILE_CUDA_HPP_

// The products of conv_tile_cuda.hpp,
//
//   sum[row][column] = sum over k of a[k][row] * b[k][column],
//
// on tensor cores, for the kinds of values of narrow.hpp; sums are floats. A
// block of threads makes a tile of rows x columns. Slabs of k go through shared
// memory in pieces of 16 bytes, several slabs ahead of the one that is
// multiplied. This is what all tiles have in common; they differ in who
// multiplies: each warp for itself (mma_warp_tile_cuda.hpp), or four together
// (mma_group_tile_cuda.hpp).

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/conv/conv_fours_cuda.hpp"
#include "kernels/conv/conv_tile_cuda.hpp"
#include "kernels/cuda/async_copy_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/cuda/mma_cuda.hpp"

namespace p3d {
namespace cuda {

// Where a piece of an operand is read: the values from `from` on, zeros for
// those of them outside [begin, end).
template <typename Value>
struct Piece {
  const Value* from;
  int begin, end;
};

// The value, which a GPU keeps in a register, if it is used at all, instead of
// making it anew within a loop.
P3D_HOST_DEVICE inline int Kept(int value) {
#ifdef __CUDA_ARCH__
  asm("" : "+r"(value));
#endif
  return value;
}
// Of global memory, which stays known.
template <typename Value>
P3D_HOST_DEVICE const Value* Kept(const Value* address) {
#ifdef __CUDA_ARCH__
  size_t global = __cvta_generic_to_global(address);
  asm("" : "+l"(global));
  return static_cast<const Value*>(__cvta_global_to_generic(global));
#else
  return address;
#endif
}

// The sizes of a tile. Warps stand in rows and columns, and the tile has equal
// shares for each: kM x kN products of 16 rows and 8 columns. Those of a row
// are side by side, those of a column as far apart as there are warps.
template <int rows, int columns, int warp_rows, int warp_columns>
struct MmaSizes {
  static constexpr int kRows = rows, kColumns = columns;
  static constexpr int kWarpRows = warp_rows, kWarpColumns = warp_columns;
  static constexpr int kLanes = 32 * warp_rows * warp_columns;
  static constexpr int kM = rows / warp_rows / 16,
                       kN = columns / warp_columns / 8;
};

// Sums of one product of each warp, on their way to the results, which a lane
// makes `out` of at a time. No two lanes that write or read at once meet in a
// bank: lines are as long as a multiple of 32 and 8 more, and where a lane
// reads two fours of sums, all first ones lie in front of all second ones.
template <int lines, int columns, int out>
struct MmaSums {
  static P3D_HOST_DEVICE int Place(int column) {
    if (out == 4) return column;
    return column / 4 % 2 * (columns / 2 + 4) + column / 8 * 4 + column % 4;
  }
  P3D_HOST_DEVICE Values<float, out> Read(int line, int column) const {
    Values<float, out> sums;
    P3D_UNROLL
    for (int i = 0; i < out; i += 4) {
      const auto four =
          *reinterpret_cast<const Four<float>*>(&v[line][Place(column + i)]);
      P3D_UNROLL
      for (int j = 0; j < 4; ++j) sums.v[i + j] = four.v[j];
    }
    return sums;
  }
  static constexpr int kLine = columns + 8;
  float v[lines][kLine];
};

// Makes the tiles of a Job, a struct with
//
//   TileGrid grid;      made by MmaGrid
//   Reader: made of (job, row, column, place, lane), it walks through the slabs
//     OperandA, OperandB  those of the tiles
//     slabs()           how many there are
//     A(i), B(i)        Piece number i of this lane; asked for in order
//     Next()            on to the next slab
//   Out                 of what values results are
//   OfColumn            what results of a column need: (job, place, column)
//   HasOld()            whether results are made of something else as well
//   Old(place, row, column)   reads that; else `old` is undefined
//   Store(place, row, column, of column, sums, old)   takes as many sums as
//   fill 16 bytes of Out
//
// `Tiles` tells how:
//
//   Value, Job, Sizes
//   kWhole              pieces are aligned, and inside their row or outside as
//                       a whole
//   kAsync              they are copied past the registers
//   kStages             slabs that are in shared memory at once
//   kProductsFirst      products go on while the next slab is asked for
//   Stage               a slab: operands a and b
//   Lane                an MmaLane
//   Multiply(stage, lane), on the host (stage, lanes)
//   ShowCopies()        of the thread, before others are waited for; on a GPU
//   AwaitProducts(lane) before the stage is used anew; on a GPU
//   Start(stream, count, tiles)   launches the kernel, on a GPU
//
// Operands say which pieces a lane copies: the same one, from value First(lane)
// on, of kCopies lines that are kApart, from Line(lane) on. The first lies at
// pieces[Place(lane)], and the others kStep behind each other.

// One thread of a tile.
template <typename Tiles>
class MmaLane {
 public:
  using Value = typename Tiles::Value;
  using Job = typename Tiles::Job;
  using Sizes = typename Tiles::Sizes;
  using Reader = typename Job::Reader;
  using OperandA = typename Reader::OperandA;
  using OperandB = typename Reader::OperandB;
  // Results are stored 16 bytes at a time: so many a line of Sums, and a lane.
  static constexpr int kOut = 16 / sizeof(typename Job::Out);
  static constexpr int kInLine = Sizes::kColumns / kOut;
  static constexpr int kLines = 16 * Sizes::kWarpRows;
  static constexpr int kStores = kLines * kInLine / Sizes::kLanes;
  using Sums = MmaSums<kLines, Sizes::kColumns, kOut>;

  P3D_HOST_DEVICE MmaLane(const Job& job, int64_t block, int thread)
      : thread_(thread),
        lane_(thread % 32),
        warp_row_(thread / 32 / Sizes::kWarpColumns),
        warp_column_(thread / 32 % Sizes::kWarpColumns),
        job_(job),
        place_(job_.grid, 1, block),
        row_(place_.row * Sizes::kRows),
        column_(place_.column * Sizes::kColumns),
        reader_(job_, row_, column_, place_, thread),
        place_a_(Kept(OperandA::Place(thread))),
        place_b_(Kept(OperandB::Place(thread))) {}

  P3D_HOST_DEVICE int slabs() const { return reader_.slabs(); }

  template <typename Stage>
  P3D_HOST_DEVICE void Fetch(Stage* stage) {
    P3D_UNROLL
    for (int i = 0; i < OperandA::kCopies; ++i)
      Take(reader_.A(i), &held_a_[i], ToA(stage, i));
    P3D_UNROLL
    for (int i = 0; i < OperandB::kCopies; ++i)
      Take(reader_.B(i), &held_b_[i], ToB(stage, i));
    reader_.Next();
  }

  template <typename Stage>
  P3D_HOST_DEVICE void Put(Stage* stage) const {
    P3D_UNROLL
    for (int i = 0; i < (Tiles::kAsync ? 0 : OperandA::kCopies); ++i)
      *ToA(stage, i) = held_a_[i];
    P3D_UNROLL
    for (int i = 0; i < (Tiles::kAsync ? 0 : OperandB::kCopies); ++i)
      *ToB(stage, i) = held_b_[i];
  }

  P3D_HOST_DEVICE void PutSums(int m, Sums* sums) const {
    float* const first =
        &sums->v[warp_row_ * 16 + lane_ / 4]
                [Sums::Place(warp_column_ * (8 * Sizes::kN) + lane_ % 4 * 2)];
    P3D_UNROLL
    for (int n = 0; n < Sizes::kN; ++n) {
      P3D_UNROLL
      for (int half = 0; half < 2; ++half) {
        // Eight columns are as far apart everywhere.
        float* to = first + half * 8 * Sums::kLine + n * Sums::Place(8);
        *reinterpret_cast<Two*>(to) = {sums_[m][n].v[2 * half],
                                       sums_[m][n].v[2 * half + 1]};
      }
    }
  }

  // Reads what results are made of as well: its latency is not to be waited
  // for after the sums are there.
  P3D_HOST_DEVICE void ReadOld(int m) {
    if (!job_.HasOld()) return;
    P3D_UNROLL
    for (int i = 0; i < kStores; ++i)
      old_[i] = job_.Old(place_, RowOf(m, i), ColumnOf());
  }

  P3D_HOST_DEVICE void StoreSums(int m, const Sums& sums) const {
    const typename Job::OfColumn of_column(job_, place_, ColumnOf());
    P3D_UNROLL
    for (int i = 0; i < kStores; ++i) {
      job_.Store(place_, RowOf(m, i), ColumnOf(), of_column,
                 sums.Read(LineOf(i), ColumnOf() - column_), old_[i]);
    }
  }

 protected:
  const int thread_, lane_, warp_row_, warp_column_;
  FragmentC sums_[Sizes::kM][Sizes::kN] = {};

 private:
  using Held = Values<Value, 16 / sizeof(Value)>;
  struct alignas(8) Two {
    float a, b;
  };

  // Where results that this thread stores lie, in Sums and in all.
  P3D_HOST_DEVICE int LineOf(int i) const {
    return thread_ / kInLine + i * (Sizes::kLanes / kInLine);
  }
  P3D_HOST_DEVICE int RowOf(int m, int i) const {
    return row_ + m * kLines + LineOf(i);
  }
  P3D_HOST_DEVICE int ColumnOf() const {
    return column_ + thread_ % kInLine * kOut;
  }

  template <typename Stage>
  P3D_HOST_DEVICE Held* ToA(Stage* stage, int copy) const {
    return &stage->a.pieces[place_a_ + copy * OperandA::kStep];
  }
  template <typename Stage>
  P3D_HOST_DEVICE Held* ToB(Stage* stage, int copy) const {
    return &stage->b.pieces[place_b_ + copy * OperandB::kStep];
  }

  // Holds a piece until it is put, or has it copied.
  P3D_HOST_DEVICE void Take(const Piece<Value>& from, Held* held, Held* to) {
    if (Tiles::kAsync) {
      CopyAsync(to, from.from, from.begin <= 0 && from.end > 0);
    } else {
      *held = Read<Tiles::kWhole, 16 / sizeof(Value)>(from.from, 0, from.begin,
                                                      from.end);
    }
  }

  const Job& job_;
  const TilePlace place_;  // in tiles
  const int row_, column_;
  Reader reader_;
  const int place_a_, place_b_;
  Held held_a_[OperandA::kCopies], held_b_[OperandB::kCopies];
  Values<typename Job::Out, kOut> old_[kStores];
};

// Tiles of rows x columns.
inline TileGrid MmaGrid(int rows, int columns, int64_t all_rows,
                        int64_t all_columns, int64_t groups,
                        int64_t slices = 1) {
  return {1, (all_rows + rows - 1) / rows,
          (all_columns + columns - 1) / columns, groups, slices};
}

// Whether such tiles are the right ones: large ones have to be many, and
// filled; the smallest are right for whatever would fill some of their columns,
// in slices where they are few (see conv_slices_cuda.hpp).
inline bool MmaSuits(int rows, int columns, const TileGrid& grid,
                     int64_t all_rows, int64_t all_columns) {
  if (rows + columns <= 128) return all_columns >= 8;
  return grid.blocks() >= kEnoughBlocks &&
         4 * all_rows >= 3 * rows * grid.row_tiles &&
         4 * all_columns >= 3 * columns * grid.column_tiles;
}

namespace detail {

// What the threads of a block do, between waits for each other.
template <typename Block>
P3D_HOST_DEVICE void MakeMmaTile(Block* block) {
  using Tiles = typename Block::Tiles;
  constexpr int kAhead = Tiles::kStages - 1;
  const int slabs = block->slabs();
  P3D_UNROLL_1
  for (int slab = 0; slab < kAhead; ++slab) {
    if (slab < slabs) block->Fetch(slab);
    EndBatch();
    if (slab < slabs) block->Put(slab);
  }
  int stage = 0, next = kAhead;
  P3D_UNROLL_1
  for (int slab = 0; slab < slabs; ++slab) {
    AwaitBatches<kAhead - 1>();
    block->ShowCopies();
    block->Wait();
    const bool more = slab + kAhead < slabs;
    if (Tiles::kProductsFirst) block->Multiply(stage);
    if (more) block->Fetch(next);
    EndBatch();
    if (!Tiles::kProductsFirst) block->Multiply(stage);
    if (more) block->Put(next);
    block->AwaitProducts();
    stage = stage == kAhead ? 0 : stage + 1;
    next = next == kAhead ? 0 : next + 1;
  }
  AwaitBatches<0>();
  P3D_UNROLL
  for (int m = 0; m < Tiles::Sizes::kM; ++m) {
    block->Wait();
    block->PutSums(m);
    block->ReadOld(m);
    block->Wait();
    block->StoreSums(m);
  }
}

template <typename Tiles>
union MmaShared {
  typename Tiles::Stage stages[Tiles::kStages];
  typename Tiles::Lane::Sums sums;
};

#ifdef __CUDACC__

template <typename Tiles_>
class MmaBlock {
 public:
  using Tiles = Tiles_;
  __device__ MmaBlock(const Tiles& tiles, MmaShared<Tiles>* shared)
      // The compiler is told that it is no negative number.
      : lane_(tiles.job, blockIdx.x, threadIdx.x % Tiles::Sizes::kLanes),
        shared_(shared) {}

  __device__ int slabs() const { return lane_.slabs(); }
  __device__ void Wait() const { __syncthreads(); }
  __device__ void Fetch(int stage) { lane_.Fetch(&shared_->stages[stage]); }
  __device__ void Put(int stage) { lane_.Put(&shared_->stages[stage]); }
  __device__ void Multiply(int stage) {
    Tiles::Multiply(shared_->stages[stage], &lane_);
  }
  __device__ void ShowCopies() const { Tiles::ShowCopies(); }
  __device__ void AwaitProducts() { Tiles::AwaitProducts(&lane_); }
  __device__ void ReadOld(int m) { lane_.ReadOld(m); }
  __device__ void PutSums(int m) { lane_.PutSums(m, &shared_->sums); }
  __device__ void StoreSums(int m) { lane_.StoreSums(m, shared_->sums); }

 private:
  typename Tiles::Lane lane_;
  MmaShared<Tiles>* const shared_;
};

#else  // as loops on the host

// What is not put into the shared memory is not a number.
template <typename Tiles_>
class MmaBlock {
 public:
  using Tiles = Tiles_;
  using Lane = typename Tiles::Lane;
  MmaBlock(const Tiles& tiles, int64_t block) {
    for (int i = 0; i < Tiles::Sizes::kLanes; ++i)
      lanes_.emplace_back(tiles.job, block, i);
    Forget(&shared_);
  }

  int slabs() const { return lanes_[0].slabs(); }
  void Wait() const {}
  void Fetch(int stage) {
    Forget(&shared_.stages[stage]);
    for (Lane& lane : lanes_) lane.Fetch(&shared_.stages[stage]);
  }
  void Put(int stage) {
    for (Lane& lane : lanes_) lane.Put(&shared_.stages[stage]);
  }
  void Multiply(int stage) {
    Tiles::Multiply(shared_.stages[stage], lanes_.data());
  }
  void ShowCopies() const {}
  void AwaitProducts() const {}
  void ReadOld(int m) {
    for (Lane& lane : lanes_) lane.ReadOld(m);
  }
  void PutSums(int m) {
    Forget(&shared_.sums);
    for (Lane& lane : lanes_) lane.PutSums(m, &shared_.sums);
  }
  void StoreSums(int m) {
    for (Lane& lane : lanes_) lane.StoreSums(m, shared_.sums);
  }

 private:
  template <typename Memory>
  static void Forget(Memory* memory) {
    std::memset(static_cast<void*>(memory), 0xff, sizeof(*memory));
  }
  std::vector<Lane> lanes_;
  MmaShared<Tiles> shared_;
};

#endif  // __CUDACC__

}  // namespace detail

// As MakeTiles of cuda_launch.hpp.
template <typename Tiles>
void MakeMmaTiles(CUstream_st* stream, const char* kernel, int64_t count,
                  const Tiles& tiles) {
  if (count <= 0) return;
  Check(count <= kMaxTiles, kernel, " would need ", count,
        " blocks on the GPU");
#ifdef __CUDACC__
  Tiles::Start(stream, static_cast<unsigned>(count), tiles);
  detail::CheckLaunch(kernel);
#else
  static_cast<void>(stream);
  for (int64_t i = 0; i < count; ++i) {
    detail::MmaBlock<Tiles> block(tiles, i);
    detail::MakeMmaTile(&block);
  }
#endif
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MMA_TILE_CUDA_HPP_
