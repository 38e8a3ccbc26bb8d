#ifndef P3D_KERNELS_MMA_WARP_TILE_CUDA_HPP_
#define P3D_KERNELS_MMA_WARP_TILE_CUDA_HPP_

// Tiles of mma_tile_cuda.hpp by 2 x 2 warps, each of which multiplies a quarter
// of the tile by itself, see mma_cuda.hpp. Slabs are 64 bytes of k.

#include <cstdint>
#include <cstring>

#include "kernels/conv/mma_tile_cuda.hpp"

namespace p3d {
namespace cuda {

// A slab of an operand with `side` rows (columns, of b). Its pieces lie in
// lines: those of one row, four along k; or else of one k, across the rows.
// The pieces of a line change places, so that the lanes of a warp meet each
// bank of the memory as rarely as can be.
template <typename Value, int side, bool along>
struct WarpOperand {
  static constexpr int kLanes = 128;
  static constexpr int kPiece = 16 / sizeof(Value);          // values
  static constexpr int kDepth = 4 * kPiece;                  // of k
  static constexpr int kPieces = along ? 4 : side / kPiece;  // of a line
  static constexpr int kCopies = side * 4 / kLanes;
  static constexpr int kApart = kLanes / kPieces;
  static constexpr int kStep = kLanes;

  static P3D_HOST_DEVICE int Line(int lane) { return lane / kPieces; }
  static P3D_HOST_DEVICE int First(int lane) { return lane % kPieces * kPiece; }
  static P3D_HOST_DEVICE int Place(int lane) {
    return Place(Line(lane), lane % kPieces);
  }

  // Fragments: one of a for 16 rows from start + first on; of b two, each for 8
  // columns. `start` is one of two numbers, `first` what is known when it is
  // compiled and has other bits, `step` 0 or 1, the half of the slab, `base` is
  // Base<of_b>(lane, start). What is known flips bits of a place that nothing
  // else has set: few addresses serve all fragments.
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

template <typename Value_, int rows, int columns, bool whole, typename Job_>
struct WarpTiles {
  using Value = Value_;
  using Job = Job_;
  using Sizes = MmaSizes<rows, columns, 2, 2>;
  using OperandA = typename Job::Reader::OperandA;
  using OperandB = typename Job::Reader::OperandB;
  static constexpr bool kWhole = whole;
  static constexpr bool kAsync = whole && kHasAsyncCopy;
  // What fits into 48 KiB of shared memory. Pieces that go through registers
  // are put one slab ahead alone: more slabs would only take the room of other
  // blocks, of which a multiprocessor of 7.5 has 64 KiB.
  static constexpr int kStages = !kAsync ? 2 : rows + columns > 192 ? 3 : 4;
  static constexpr bool kProductsFirst = false;
  // On a multiprocessor, whose registers they share.
  static constexpr int kBlocks = rows + columns > 192             ? 2
                                 : rows + columns > 128 || !whole ? 3
                                                                  : 4;

  struct Stage {
    OperandA a;
    OperandB b;
  };
  struct Fragments {
    FragmentA a[Sizes::kM];
    FragmentB b[Sizes::kN];
  };

  class Lane : public MmaLane<WarpTiles> {
   public:
    P3D_HOST_DEVICE Lane(const Job& job, int64_t block, int thread)
        : MmaLane<WarpTiles>(job, block, thread),
          base_a_(Kept(OperandA::template Base<false>(this->lane_, start_a()))),
          base_b_(Kept(OperandB::template Base<true>(this->lane_, start_b()))) {
    }

    // Of half a slab.
    P3D_HOST_DEVICE void Load(const Stage& stage, int step,
                              Fragments* fragments) const {
      P3D_UNROLL
      for (int m = 0; m < Sizes::kM; ++m) {
        stage.a.template Load<false>(this->lane_, start_a(), base_a_, 32 * m,
                                     step, fragments->a[m].r);
      }
      P3D_UNROLL
      for (int n = 0; n < Sizes::kN; n += 2) {
        uint32_t r[4];
        stage.b.template Load<true>(this->lane_, start_b(), base_b_, 8 * n,
                                    step, r);
        fragments->b[n] = {{r[0], r[1]}};
        fragments->b[n + 1] = {{r[2], r[3]}};
      }
    }

    // With the fragments of all lanes of the warp, on a GPU the lane's alone.
    P3D_HOST_DEVICE void Multiply(const Fragments* warp) {
      P3D_UNROLL
      for (int m = 0; m < Sizes::kM; ++m) {
        P3D_UNROLL
        for (int n = 0; n < Sizes::kN; ++n) {
          AddProduct<Value>(
              this->lane_,
              [=](int l) -> const FragmentA& { return Of(warp, l).a[m]; },
              [=](int l) -> const FragmentB& { return Of(warp, l).b[n]; },
              &this->sums_[m][n]);
        }
      }
    }

   private:
    // Where the warp's rows and columns begin.
    P3D_HOST_DEVICE int start_a() const { return this->warp_row_ * 16; }
    P3D_HOST_DEVICE int start_b() const {
      return this->warp_column_ * (columns / 2);
    }

    static P3D_HOST_DEVICE const Fragments& Of(const Fragments* warp,
                                               int lane) {
#ifdef __CUDA_ARCH__
      return *warp;
#else
      return warp[lane];
#endif
    }

    const int base_a_, base_b_;
  };

#ifdef __CUDACC__
  static __device__ void ShowCopies() {}
  static __device__ void AwaitProducts(Lane*) {}
  static __device__ void Multiply(const Stage& stage, Lane* lane) {
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      Fragments fragments;
      lane->Load(stage, step, &fragments);
      lane->Multiply(&fragments);
    }
  }
#else
  static void Multiply(const Stage& stage, Lane* lanes) {
    Fragments warp[32];
    for (int step = 0; step < 2; ++step) {
      for (int first = 0; first < Sizes::kLanes; first += 32) {
        for (int i = 0; i < 32; ++i)
          lanes[first + i].Load(stage, step, &warp[i]);
        for (int i = 0; i < 32; ++i) lanes[first + i].Multiply(warp);
      }
    }
  }
#endif
  static void Start(CUstream_st* stream, unsigned count,
                    const WarpTiles& tiles);

  Job job;
};

#ifdef __CUDACC__

namespace detail {

template <typename Tiles>
__global__ void __launch_bounds__(Tiles::Sizes::kLanes, Tiles::kBlocks)
    RunWarpTiles(const __grid_constant__ Tiles tiles) {
#if defined(__CUDA_ARCH__)
  if (__CUDA_ARCH__ >= 10 * MmaOf<typename Tiles::Value>::kLeastArch) {
    __shared__ MmaShared<Tiles> shared;
    MmaBlock<Tiles> block(tiles, &shared);
    AwaitEarlierKernels();
    MakeMmaTile(&block);
  }
#endif
}

template <typename Unused>
__global__ void Nothing() {}

}  // namespace detail

template <typename Value, int rows, int columns, bool whole, typename Job>
void WarpTiles<Value, rows, columns, whole, Job>::Start(
    CUstream_st* stream, unsigned count, const WarpTiles& tiles) {
  StartKernel(detail::RunWarpTiles<WarpTiles>, count, Sizes::kLanes, 0, stream,
              tiles);
}

#endif  // __CUDACC__

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

// How the products of an operation are made by warps, for its Job and table.
struct ByWarps {
  template <typename Value, int side, bool along>
  using Operand = WarpOperand<Value, side, along>;
  template <typename Value, int rows, int columns, bool whole, typename Job>
  using Tiles = WarpTiles<Value, rows, columns, whole, Job>;
  template <typename Value>
  static bool Has() {
    return HasMma<Value>();
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MMA_WARP_TILE_CUDA_HPP_
