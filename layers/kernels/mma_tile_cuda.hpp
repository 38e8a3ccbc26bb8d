#ifndef P3D_KERNELS_MMA_TILE_CUDA_HPP_
#define P3D_KERNELS_MMA_TILE_CUDA_HPP_

// The products of conv_tile_cuda.hpp,
//
//   sum[row][column] = sum over k of a[k][row] * b[k][column],
//
// on tensor cores, for the kinds of values of narrow.hpp; sums are floats. A
// block of 2 x 2 warps makes a tile of rows x columns; each warp has a quarter
// of it. Slabs of 64 bytes of k go through shared memory in pieces of 16 bytes,
// several slabs ahead of the one that is multiplied.

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/async_copy_cuda.hpp"
#include "kernels/conv_fours_cuda.hpp"
#include "kernels/conv_tile_cuda.hpp"
#include "kernels/cuda_launch.hpp"
#include "kernels/mma_cuda.hpp"

namespace p3d {
namespace cuda {

constexpr int kMmaLanes = 128;

// Where a piece of an operand is read: values [first, first + its size) of a
// row, zeros for those outside [begin, end).
template <typename Value>
struct Piece {
  const Value* row;
  int first, begin, end;
};

// The value, which a GPU keeps in a register, if it is used at all, instead of
// making it anew within a loop.
P3D_HOST_DEVICE inline int Kept(int value) {
#ifdef __CUDA_ARCH__
  asm("" : "+r"(value));
#endif
  return value;
}

// A slab of an operand with `side` rows (columns, of b). Its pieces lie in
// lines: those of one row, four along k; or else of one k, across the rows.
// The pieces of a line change places, so that the lanes of a warp meet each
// bank of the memory as rarely as can be.
template <typename Value, int side, bool along>
struct Operand {
  static constexpr int kPiece = 16 / sizeof(Value);          // values
  static constexpr int kDepth = 4 * kPiece;                  // of k
  static constexpr int kPieces = along ? 4 : side / kPiece;  // of a line
  // Each lane copies so many pieces: the same one of lines that are so far
  // apart.
  static constexpr int kCopies = side * 4 / kMmaLanes;
  static constexpr int kApart = kMmaLanes / kPieces;

  static P3D_HOST_DEVICE int Line(int lane) { return lane / kPieces; }
  // The first value of the lane's piece, counted along its line.
  static P3D_HOST_DEVICE int First(int lane) { return lane % kPieces * kPiece; }

  P3D_HOST_DEVICE Values<Value, kPiece>* At(int line, int piece) {
    return &pieces[Place(line, piece)];
  }

  // Fragments: one of a for 16 rows from start + first on; of b two, each for 8
  // columns. `start` is 0 or half of the side, `step` 0 or 1, the half of the
  // slab, `base` is Base<of_b>(lane, start). What is known when it is compiled
  // flips bits of a place that nothing else has set: few addresses serve all
  // fragments.
  template <bool of_b>
  P3D_HOST_DEVICE void Load(int lane, int start, int base, int first, int step,
                            uint32_t* r) const {
    if (along || sizeof(Value) == 2) {
      const auto row = [=](int l) {
        const int from = l == lane ? base : Base<of_b>(l, start);
        return &pieces[along ? (from ^ 2 * step) + first * kPieces
                             : (from + step * 16 * kPieces) ^ (first / kPiece)];
      };
      LoadMatrices<!along>(lane, row, r);
    } else {
      const int outer = start + lane / 4;
      P3D_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int more = first + (of_b ? i / 2 : i % 2) * 8;
        const int k = step * 8 + lane % 4 + (of_b ? i % 2 : i / 2) * 4;
        const int place = Place(k, outer / kPiece) ^ (more / kPiece);
        memcpy(&r[i], &pieces[place].v[outer % kPiece], 4);
      }
    }
    P3D_UNROLL
    for (int i = 0; i < 4; ++i) r[i] = MmaOf<Value>::Operand(r[i]);
  }

  // Where lane l reads of fragments whose `first` and `step` are 0.
  template <bool of_b>
  static P3D_HOST_DEVICE int Base(int l, int start) {
    const int outer = start + (of_b ? l / 16 : l / 8 % 2) * 8;
    const int half = of_b ? l / 8 % 2 : l / 16;
    return along ? Place(outer + l % 8, half)
                 : Place(half * 8 + l % 8, outer / kPiece);
  }

  Values<Value, kPiece> pieces[side * 4];

 private:
  static P3D_HOST_DEVICE int Place(int line, int piece) {
    const int swap = along                ? line / 2 % 4
                     : sizeof(Value) == 2 ? line % 8
                                          : line % 4 * 2;
    return line * kPieces + (piece ^ swap);
  }
};

// Makes the tiles of a Job, a struct with
//
//   TileGrid grid;      made by MmaGrid
//   Reader: made of (job, row, column, place, lane), it walks through the slabs
//     OperandA, OperandB  Operand<Value, rows or columns, their layout>
//     slabs()           how many there are
//     A(i), B(i)        Piece number i of this lane; asked for in order
//     Next()            on to the next slab
//   Out                 of what values results are
//   Store(place, row, column, sums)   takes as many sums as fill 16 bytes of
//   Out
//
// `whole`: pieces are aligned, and inside their row or outside as a whole.
// MakeMmaTiles runs them.
template <typename Value_, int rows, int columns, bool whole, typename Job>
struct MmaTiles {
  using Value = Value_;
  using Reader = typename Job::Reader;
  using OperandA = typename Reader::OperandA;
  using OperandB = typename Reader::OperandB;
  static constexpr int kPiece = OperandA::kPiece;
  static constexpr bool kAsync = whole && kHasAsyncCopy;
  // What fits into 48 KiB of shared memory.
  static constexpr int kStages = rows + columns > 192 ? 3 : 4;
  // On a multiprocessor, whose registers they share.
  static constexpr int kBlocks = rows + columns > 192             ? 2
                                 : rows + columns > 128 || !whole ? 3
                                                                  : 4;
  static constexpr int kM = rows / 32, kN = columns / 16;  // products of a warp
  // Results are stored 16 bytes at a time: so many a line of Sums, and a lane.
  static constexpr int kOut = 16 / sizeof(typename Job::Out);
  static constexpr int kInLine = columns / kOut;
  static constexpr int kStores = 32 * kInLine / kMmaLanes;

  struct Stage {
    OperandA a;
    OperandB b;
  };
  // Sums of one product of each warp, on their way to the results. No two lanes
  // that write or read at once meet in a bank: lines are as long as a multiple
  // of 32 and 8 more, and where a lane reads two fours of sums, all first ones
  // lie in front of all second ones.
  struct Sums {
    static P3D_HOST_DEVICE int Place(int column) {
      if (kOut == 4) return column;
      return column / 4 % 2 * (columns / 2 + 4) + column / 8 * 4 + column % 4;
    }
    P3D_HOST_DEVICE Values<float, kOut> Read(int line, int column) const {
      Values<float, kOut> sums;
      P3D_UNROLL
      for (int i = 0; i < kOut; i += 4) {
        const auto four =
            *reinterpret_cast<const Four<float>*>(&v[line][Place(column + i)]);
        P3D_UNROLL
        for (int j = 0; j < 4; ++j) sums.v[i + j] = four.v[j];
      }
      return sums;
    }
    static constexpr int kLine = columns + 8;
    float v[32][kLine];
  };
  union Shared {
    Stage stages[kStages];
    Sums sums;
  };
  struct Fragments {
    FragmentA a[kM];
    FragmentB b[kN];
  };

  class Lane {
   public:
    P3D_HOST_DEVICE Lane(const MmaTiles& tiles, int64_t block, int lane)
        : job_(tiles.job),
          place_(job_.grid, 1, block),
          row_(place_.row * rows),
          column_(place_.column * columns),
          reader_(job_, row_, column_, place_, lane),
          thread_(lane),
          lane_(lane % 32),
          warp_row_(lane / 64),
          warp_column_(lane / 32 % 2),
          base_a_(Kept(OperandA::template Base<false>(lane_, start_a()))),
          base_b_(Kept(OperandB::template Base<true>(lane_, start_b()))) {}

    P3D_HOST_DEVICE int slabs() const { return reader_.slabs(); }

    P3D_HOST_DEVICE void Fetch(Stage* stage) {
      P3D_UNROLL
      for (int i = 0; i < OperandA::kCopies; ++i)
        Take(reader_.A(i), &held_a_[i], To(&stage->a, i));
      P3D_UNROLL
      for (int i = 0; i < OperandB::kCopies; ++i)
        Take(reader_.B(i), &held_b_[i], To(&stage->b, i));
      reader_.Next();
    }

    P3D_HOST_DEVICE void Put(Stage* stage) const {
      P3D_UNROLL
      for (int i = 0; i < (kAsync ? 0 : OperandA::kCopies); ++i)
        *To(&stage->a, i) = held_a_[i];
      P3D_UNROLL
      for (int i = 0; i < (kAsync ? 0 : OperandB::kCopies); ++i)
        *To(&stage->b, i) = held_b_[i];
    }

    // Of half a slab.
    P3D_HOST_DEVICE void Load(const Stage& stage, int step,
                              Fragments* fragments) const {
      P3D_UNROLL
      for (int m = 0; m < kM; ++m) {
        stage.a.template Load<false>(lane_, start_a(), base_a_, 16 * m, step,
                                     fragments->a[m].r);
      }
      P3D_UNROLL
      for (int n = 0; n < kN; n += 2) {
        uint32_t r[4];
        stage.b.template Load<true>(lane_, start_b(), base_b_, 8 * n, step, r);
        fragments->b[n] = {{r[0], r[1]}};
        fragments->b[n + 1] = {{r[2], r[3]}};
      }
    }

    // With the fragments of all lanes of the warp, on a GPU the lane's alone.
    P3D_HOST_DEVICE void Multiply(const Fragments* warp) {
      P3D_UNROLL
      for (int m = 0; m < kM; ++m) {
        P3D_UNROLL
        for (int n = 0; n < kN; ++n) {
          AddProduct<Value>(
              lane_,
              [=](int l) -> const FragmentA& { return Of(warp, l).a[m]; },
              [=](int l) -> const FragmentB& { return Of(warp, l).b[n]; },
              &sums_[m][n]);
        }
      }
    }

    P3D_HOST_DEVICE void PutSums(int m, Sums* sums) const {
      float* const first =
          &sums->v[warp_row_ * 16 + lane_ / 4]
                  [Sums::Place(warp_column_ * (columns / 2) + lane_ % 4 * 2)];
      P3D_UNROLL
      for (int n = 0; n < kN; ++n) {
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

   private:
    // Where the warp's rows and columns begin.
    P3D_HOST_DEVICE int start_a() const { return warp_row_ * (rows / 2); }
    P3D_HOST_DEVICE int start_b() const { return warp_column_ * (columns / 2); }

    using Held = Values<Value, kPiece>;
    struct alignas(8) Two {
      float a, b;
    };

    // Where results that this thread stores lie, in Sums and in all.
    P3D_HOST_DEVICE int LineOf(int i) const {
      return thread_ / kInLine + i * (kMmaLanes / kInLine);
    }
    P3D_HOST_DEVICE int RowOf(int m, int i) const {
      return row_ + LineOf(i) / 16 * (rows / 2) + m * 16 + LineOf(i) % 16;
    }
    P3D_HOST_DEVICE int ColumnOf() const {
      return column_ + thread_ % kInLine * kOut;
    }

    template <typename Operand>
    P3D_HOST_DEVICE Held* To(Operand* operand, int copy) const {
      return operand->At(Operand::Line(thread_) + copy * Operand::kApart,
                         Operand::First(thread_) / kPiece);
    }

    // Holds a piece until it is put, or has it copied.
    P3D_HOST_DEVICE void Take(const Piece<Value>& from, Held* held, Held* to) {
      if (kAsync) {
        CopyAsync(to, from.row + from.first,
                  from.first >= from.begin && from.first < from.end);
      } else {
        *held = Read<whole, kPiece>(from.row, from.first, from.begin, from.end);
      }
    }

    static P3D_HOST_DEVICE const Fragments& Of(const Fragments* warp,
                                               int lane) {
#ifdef __CUDA_ARCH__
      return *warp;
#else
      return warp[lane];
#endif
    }

    const Job& job_;
    const TilePlace place_;  // in tiles
    const int row_, column_;
    Reader reader_;
    const int thread_, lane_, warp_row_, warp_column_;
    const int base_a_, base_b_;
    Held held_a_[OperandA::kCopies], held_b_[OperandB::kCopies];
    FragmentC sums_[kM][kN] = {};
    Values<typename Job::Out, kOut> old_[kStores];
  };

  Job job;
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
    block->Wait();
    const bool more = slab + kAhead < slabs;
    if (more) block->Fetch(next);
    EndBatch();
    block->Multiply(stage);
    if (more) block->Put(next);
    stage = stage == kAhead ? 0 : stage + 1;
    next = next == kAhead ? 0 : next + 1;
  }
  AwaitBatches<0>();
  P3D_UNROLL
  for (int m = 0; m < Tiles::kM; ++m) {
    block->ReadOld(m);
    block->Wait();
    block->PutSums(m);
    block->Wait();
    block->StoreSums(m);
  }
}

#ifdef __CUDACC__

template <typename Tiles_>
class MmaBlock {
 public:
  using Tiles = Tiles_;
  __device__ MmaBlock(const Tiles& tiles, typename Tiles::Shared* shared)
      // The compiler is told that it is no negative number.
      : lane_(tiles, blockIdx.x, threadIdx.x % kMmaLanes), shared_(shared) {}

  __device__ int slabs() const { return lane_.slabs(); }
  __device__ void Wait() const { __syncthreads(); }
  __device__ void Fetch(int stage) { lane_.Fetch(&shared_->stages[stage]); }
  __device__ void Put(int stage) { lane_.Put(&shared_->stages[stage]); }
  __device__ void Multiply(int stage) {
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      typename Tiles::Fragments fragments;
      lane_.Load(shared_->stages[stage], step, &fragments);
      lane_.Multiply(&fragments);
    }
  }
  __device__ void ReadOld(int m) { lane_.ReadOld(m); }
  __device__ void PutSums(int m) { lane_.PutSums(m, &shared_->sums); }
  __device__ void StoreSums(int m) { lane_.StoreSums(m, shared_->sums); }

 private:
  typename Tiles::Lane lane_;
  typename Tiles::Shared* shared_;
};

template <typename Tiles>
__global__ void __launch_bounds__(kMmaLanes, Tiles::kBlocks)
    RunMmaTiles(const __grid_constant__ Tiles tiles) {
#if defined(__CUDA_ARCH__)
  if (__CUDA_ARCH__ >= 10 * MmaOf<typename Tiles::Value>::kLeastArch) {
    __shared__ typename Tiles::Shared shared;
    MmaBlock<Tiles> block(tiles, &shared);
    MakeMmaTile(&block);
  }
#endif
}

template <typename Tiles>
void LaunchMmaTiles(CUstream_st* stream, const char* kernel, int64_t count,
                    const Tiles& tiles) {
  RunMmaTiles<<<static_cast<unsigned>(count), kMmaLanes, 0, stream>>>(tiles);
  CheckLaunch(kernel);
}

template <typename Unused>
__global__ void Nothing() {}

#else  // as loops on the host

// What is not put into the shared memory is not a number.
template <typename Tiles_>
class MmaBlock {
 public:
  using Tiles = Tiles_;
  using Lane = typename Tiles::Lane;
  MmaBlock(const Tiles& tiles, int64_t block) {
    for (int i = 0; i < kMmaLanes; ++i) lanes_.emplace_back(tiles, block, i);
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
    typename Tiles::Fragments warp[32];
    for (int step = 0; step < 2; ++step) {
      for (int first = 0; first < kMmaLanes; first += 32) {
        Lane* lanes = &lanes_[first];
        for (int i = 0; i < 32; ++i)
          lanes[i].Load(shared_.stages[stage], step, &warp[i]);
        for (int i = 0; i < 32; ++i) lanes[i].Multiply(warp);
      }
    }
  }
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
  typename Tiles::Shared shared_;
};

template <typename Tiles>
void LaunchMmaTiles(CUstream_st*, const char*, int64_t count,
                    const Tiles& tiles) {
  for (int64_t i = 0; i < count; ++i) {
    MmaBlock<Tiles> block(tiles, i);
    MakeMmaTile(&block);
  }
}

#endif  // __CUDACC__

}  // namespace detail

// Whether the code that the GPU in use runs was compiled for one with tensor
// cores for these values: a newer GPU may run what was meant for an older one.
template <typename Value>
bool HasMma() {
#ifdef __CUDACC__
  cudaFuncAttributes attributes;
  const cudaError_t error =
      cudaFuncGetAttributes(&attributes, detail::Nothing<Value>);
  if (error != cudaSuccess) cudaGetLastError();  // the launch will report it
  return error == cudaSuccess &&
         attributes.ptxVersion >= MmaOf<Value>::kLeastArch;
#else
  return true;
#endif
}

// As MakeTiles of cuda_launch.hpp.
template <typename Tiles>
void MakeMmaTiles(CUstream_st* stream, const char* kernel, int64_t count,
                  const Tiles& tiles) {
  if (count <= 0) return;
  Check(count <= kMaxTiles, kernel, " would need ", count,
        " blocks on the GPU");
  detail::LaunchMmaTiles(stream, kernel, count, tiles);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MMA_TILE_CUDA_HPP_
