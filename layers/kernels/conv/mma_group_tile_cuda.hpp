#ifndef P3D_KERNELS_MMA_GROUP_TILE_CUDA_HPP_
#define P3D_KERNELS_MMA_GROUP_TILE_CUDA_HPP_

// Tiles of mma_tile_cuda.hpp by a group of four warps, which multiplies 64 rows
// of the tile at a time, straight from shared memory: see wgmma_cuda.hpp. Slabs
// are 128 bytes of k. All pieces are whole ones, and copied past the registers.
//
// What includes this is compiled for GPUs of compute capability 9.0 alone: it
// must not launch kernels by templates that other files use as well, or those
// are missing on other GPUs.

#include <cstdint>

#include "kernels/conv/mma_tile_cuda.hpp"
#include "kernels/cuda/wgmma_cuda.hpp"

namespace p3d {
namespace cuda {

// A slab of an operand with `side` rows (columns, of b). Its lines are those
// that wgmma_cuda.hpp describes.
template <typename Value, int side, bool along>
struct GroupOperand {
  static constexpr bool kAlong = along;
  static constexpr int kLanes = kGroupLanes;
  static constexpr int kPiece = 16 / sizeof(Value);          // values
  static constexpr int kDepth = 8 * kPiece;                  // of k
  static constexpr int kPieces = along ? 8 : side / kPiece;  // of a line
  static constexpr int kCopies = side * 8 / kLanes;
  static constexpr int kApart = kLanes / kPieces;
  static constexpr int kStep = kApart * 8;

  static P3D_HOST_DEVICE int Line(int lane) { return lane / kPieces; }
  static P3D_HOST_DEVICE int First(int lane) { return lane % kPieces * kPiece; }

  static P3D_HOST_DEVICE int Place(int lane) {
    return Place(Line(lane), lane % kPieces);
  }
  // Of a row (column, of b): its value k.
  P3D_HOST_DEVICE Value Get(int row, int k) const {
    const int line = along ? row : k, place = along ? k : row;
    return pieces[Place(line, place / kPiece)].v[place % kPiece];
  }

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  // The matrix from that row on, a multiple of 64.
  __device__ uint64_t From(int row) const {
    return along ? MatrixAt(&pieces[8 * row])
                 : MatrixAt(&pieces[kDepth / kPiece * row],
                            8 * kDepth * sizeof(pieces[0]));
  }
#endif
  // Where its value k begins, a multiple of kWgmmaDepth: so many pieces
  // further.
  static P3D_HOST_DEVICE int Step(int k) { return along ? k / kPiece : 8 * k; }

  Values<Value, kPiece> pieces[side * 8];

 private:
  static P3D_HOST_DEVICE int Place(int line, int piece) {
    return (piece / 8 * kDepth + line) * 8 + (piece % 8 ^ line % 8);
  }
};

template <typename Value_, int rows, int columns, typename Job_>
struct GroupTiles {
  using Value = Value_;
  using Job = Job_;
  using Sizes = MmaSizes<rows, columns, 4, 1>;
  using OperandA = typename Job::Reader::OperandA;
  using OperandB = typename Job::Reader::OperandB;
  static constexpr bool kWhole = true;
  static constexpr bool kAsync = true;
  static constexpr bool kProductsFirst = true;
  static constexpr int kStages = rows + columns > 128 ? 3 : 4;
  // On a multiprocessor, whose registers and 227 KiB of memory they share.
  static constexpr int kBlocks = rows + columns > 192 ? 2 : 3;

  struct alignas(1024) Stage {
    OperandA a;
    OperandB b;
  };
#ifndef __CUDACC__
  // What a stage holds, of each row and column.
  struct Floats {
    explicit Floats(const Stage& stage) {
      for (int k = 0; k < OperandA::kDepth; ++k) {
        for (int i = 0; i < rows; ++i) a[i][k] = float{stage.a.Get(i, k)};
        for (int i = 0; i < columns; ++i) b[i][k] = float{stage.b.Get(i, k)};
      }
    }
    float a[rows][OperandA::kDepth], b[columns][OperandA::kDepth];
  };
#endif
  class Lane : public MmaLane<GroupTiles> {
   public:
    P3D_HOST_DEVICE Lane(const Job& job, int64_t block, int thread)
        : MmaLane<GroupTiles>(job, block, thread) {}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    __device__ void Multiply(const Stage& stage) {
      BeginProducts(this->sums_);
      P3D_UNROLL
      for (int m = 0; m < Sizes::kM; ++m) {
        const uint64_t a = stage.a.From(64 * m), b = stage.b.From(0);
        P3D_UNROLL
        for (int k = 0; k < OperandA::kDepth; k += kWgmmaDepth) {
          Wgmma<Value, columns>::template Add<OperandA::kAlong,
                                              OperandB::kAlong>(
              a + OperandA::Step(k), b + OperandB::Step(k), this->sums_[m]);
        }
      }
      EndProducts();
    }
    __device__ void Await() { AwaitSums(this->sums_); }
#elif !defined(__CUDACC__)
    void Multiply(const Floats& floats) {
      for (int i = 0; i < rows * columns / kGroupLanes; ++i) {
        const int m = i / (columns / 2), n = i / 4 % Sizes::kN;
        const int row =
            64 * m + 16 * this->warp_row_ + this->lane_ / 4 + i / 2 % 2 * 8;
        const int column = 8 * n + this->lane_ % 4 * 2 + i % 2;
        float& sum = this->sums_[m][n].v[i % 4];
        for (int k = 0; k < OperandA::kDepth; ++k)
          sum += floats.a[row][k] * floats.b[column][k];
      }
    }
#endif
  };

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  static __device__ void Multiply(const Stage& stage, Lane* lane) {
    lane->Multiply(stage);
  }
  static __device__ void ShowCopies() { ShowToProducts(); }
  static __device__ void AwaitProducts(Lane* lane) { lane->Await(); }
#elif !defined(__CUDACC__)
  static void Multiply(const Stage& stage, Lane* lanes) {
    const Floats floats(stage);
    for (int i = 0; i < Sizes::kLanes; ++i) lanes[i].Multiply(floats);
  }
#endif
  static void Start(CUstream_st* stream, unsigned count,
                    const GroupTiles& tiles);

  Job job;
};

#ifdef __CUDACC__

namespace detail {

template <typename Tiles>
__global__ void __launch_bounds__(Tiles::Sizes::kLanes, Tiles::kBlocks)
    RunGroupTiles(const __grid_constant__ Tiles tiles) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(1024) char memory[];
  MmaBlock<Tiles> block(tiles, reinterpret_cast<MmaShared<Tiles>*>(memory));
  AwaitEarlierKernels();
  MakeMmaTile(&block);
#endif
}

}  // namespace detail

template <typename Value, int rows, int columns, typename Job>
void GroupTiles<Value, rows, columns, Job>::Start(CUstream_st* stream,
                                                  unsigned count,
                                                  const GroupTiles& tiles) {
  constexpr int kBytes = sizeof(detail::MmaShared<GroupTiles>);
  // If this fails, so does the launch.
  cudaFuncSetAttribute(detail::RunGroupTiles<GroupTiles>,
                       cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  StartKernel(detail::RunGroupTiles<GroupTiles>, count, Sizes::kLanes, kBytes,
              stream, tiles);
}

#endif  // __CUDACC__

// How the products of an operation are made by groups of warps, for its Job and
// table.
struct ByGroups {
  template <typename Value, int side, bool along>
  using Operand = GroupOperand<Value, side, along>;
  template <typename Value, int rows, int columns, bool whole, typename Job>
  using Tiles = GroupTiles<Value, rows, columns, Job>;
  template <typename Value>
  static bool Has() {
    return HasWgmma();
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MMA_GROUP_TILE_CUDA_HPP_
