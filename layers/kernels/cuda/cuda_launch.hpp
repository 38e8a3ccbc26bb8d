#ifndef P3D_KERNELS_CUDA_LAUNCH_HPP_
#define P3D_KERNELS_CUDA_LAUNCH_HPP_

// How the .cu files of the kernels reach the GPU. A kernel is a small struct
// whose operator() does one element, one row or one thread's share, or one that
// makes tiles; the functions below run it everywhere. They return without
// waiting.
//
// Another compiler than nvcc turns them into loops over the same threads in
// host memory: so a .cu file can be included into a test and compared with the
// CPU kernel beside it where there is no GPU.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/affine.hpp"
#include "kernels/cuda/host_device.hpp"
#include "kernels/error.hpp"

#ifdef __CUDACC__
#include "kernels/cuda/start_kernel_cuda.hpp"
#endif

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

constexpr int kThreads = 256;      // in a block
constexpr int64_t kBlocks = 4096;  // at most; their threads take several items
constexpr int64_t kMaxTiles = 0x7fffffff;  // blocks of one launch

// a / b for a >= 0 and b > 0. The division of 64-bit integers is a subroutine
// on GPUs, around which kernels would have to put registers aside. Nearly all
// quotients fit into 32 bits; others are made digit by digit.
P3D_HOST_DEVICE inline int64_t Quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) {
    return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  }
  int64_t quotient = 0, rest = 0;
  P3D_UNROLL_1
  for (int digit = 62; digit >= 0; --digit) {
    rest = 2 * rest + (a >> digit & 1);
    const bool one = rest >= b;
    if (one) rest -= b;
    quotient = 2 * quotient + one;
  }
  return quotient;
}

// a * b of numbers that are not negative: one instruction, which the compiler
// does not make of numbers that it knows less of.
P3D_HOST_DEVICE inline int64_t Product(int a, int b) {
  return static_cast<int64_t>(uint64_t{static_cast<uint32_t>(a)} *
                              static_cast<uint32_t>(b));
}

P3D_HOST_DEVICE inline int64_t Smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// Two sums that are taken in one pass.
struct Pair {
  double first;
  double second;
  P3D_HOST_DEVICE void operator+=(const Pair& other) {
    first += other.first;
    second += other.second;
  }
};

namespace detail {

#ifdef __CUDACC__

// Throws for a launch that failed, or for work that failed before it.
inline void CheckLaunch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  Check(error == cudaSuccess, "the CUDA kernel ", kernel,
        " was not launched: ", cudaGetErrorString(error), " (",
        cudaGetErrorName(error), ")");
}

// Unless told that three blocks are enough, the assembler puts registers aside
// in memory to have room for more of them.
template <typename Threads>
__global__ void __launch_bounds__(kThreads, 3) RunThreads(Threads threads) {
  AwaitEarlierKernels();
  threads(int64_t{blockIdx.x} * blockDim.x + threadIdx.x,
          int64_t{gridDim.x} * blockDim.x);
}

template <bool spread, typename Rows>
__global__ void __launch_bounds__(kThreads)
    RunRows(int64_t count, int width, Rows rows) {
  __shared__ decltype(rows.Sum(0, 0)) sums[kThreads];
  const int lane = threadIdx.x;
  AwaitEarlierKernels();
  for (int64_t row = blockIdx.x; row < count; row += gridDim.x) {
    sums[lane] = rows.Sum(row, lane);
    __syncthreads();
    for (int half = kThreads / 2; half >= width; half /= 2) {
      if (lane < half) sums[lane] += sums[lane + half];
      __syncthreads();
    }
    if (spread || lane < width) {
      rows.Store(row, lane, sums[lane & (width - 1)]);
    }
    __syncthreads();
  }
}

template <typename Threads>
void LaunchThreads(CUstream_st* stream, const char* kernel, int64_t items,
                   const Threads& threads) {
  const int64_t blocks = std::min((items + kThreads - 1) / kThreads, kBlocks);
  StartKernel(RunThreads<Threads>, static_cast<unsigned>(blocks), kThreads, 0,
              stream, threads);
  CheckLaunch(kernel);
}

template <bool spread, typename Rows>
void LaunchRows(CUstream_st* stream, const char* kernel, int64_t count,
                int width, const Rows& rows) {
  const int64_t blocks = std::min(count, kBlocks);
  StartKernel(RunRows<spread, Rows>, static_cast<unsigned>(blocks), kThreads, 0,
              stream, count, width, rows);
  CheckLaunch(kernel);
}

// Two shared memories in turns: one is read while the other is written. A
// multiprocessor has registers for 512 threads that use 128 each.
template <typename Tiles>
__global__ void __launch_bounds__(Tiles::kLanes, 512 / Tiles::kLanes)
    RunTiles(Tiles tiles) {
  __shared__ typename Tiles::Shared shared[2];
  typename Tiles::Lane lane(tiles, blockIdx.x, threadIdx.x);
  const int steps = lane.steps();
  AwaitEarlierKernels();
  lane.Fetch();
  lane.Put(&shared[0]);
  __syncthreads();
  for (int step = 1; step < steps; ++step) {
    lane.Fetch();
    lane.Multiply(shared[(step + 1) % 2]);
    lane.Put(&shared[step % 2]);
    __syncthreads();
  }
  lane.Multiply(shared[(steps + 1) % 2]);
  lane.Store();
}

template <typename Tiles>
void LaunchTiles(CUstream_st* stream, const char* kernel, int64_t count,
                 const Tiles& tiles) {
  StartKernel(RunTiles<Tiles>, static_cast<unsigned>(count), Tiles::kLanes, 0,
              stream, tiles);
  CheckLaunch(kernel);
}

#else  // as loops on the host

template <typename Threads>
void LaunchThreads(CUstream_st*, const char*, int64_t items,
                   const Threads& threads) {
  const int64_t count = std::min<int64_t>(items, 3 * kThreads);
  for (int64_t thread = 0; thread < count; ++thread) threads(thread, count);
}

template <bool spread, typename Rows>
void LaunchRows(CUstream_st*, const char*, int64_t count, int width,
                const Rows& rows) {
  for (int64_t row = 0; row < count; ++row) {
    decltype(rows.Sum(0, 0)) sums[kThreads];
    for (int lane = 0; lane < kThreads; ++lane)
      sums[lane] = rows.Sum(row, lane);
    for (int half = kThreads / 2; half >= width; half /= 2) {
      for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    }
    for (int lane = 0; lane < (spread ? kThreads : width); ++lane) {
      rows.Store(row, lane, sums[lane & (width - 1)]);
    }
  }
}

// What is not put into the shared memory is not a number.
template <typename Tiles>
void LaunchTiles(CUstream_st*, const char*, int64_t count, const Tiles& tiles) {
  using Lane = typename Tiles::Lane;
  for (int64_t block = 0; block < count; ++block) {
    std::vector<Lane> lanes;
    for (int i = 0; i < Tiles::kLanes; ++i) lanes.emplace_back(tiles, block, i);
    typename Tiles::Shared shared;
    for (int step = 0; step < lanes[0].steps(); ++step) {
      std::memset(&shared, 0xff, sizeof(shared));
      for (Lane& lane : lanes) lane.Fetch();
      for (Lane& lane : lanes) lane.Put(&shared);
      for (Lane& lane : lanes) lane.Multiply(shared);
    }
    for (Lane& lane : lanes) lane.Store();
  }
}

#endif  // __CUDACC__

template <typename Body>
struct EachItem {
  int64_t count;
  Body body;
  P3D_HOST_DEVICE void operator()(int64_t first, int64_t step) const {
    for (int64_t i = first; i < count; i += step) body(i);
  }
};

// Carries (d, place within the inner axis) along instead of dividing for it.
template <typename Body>
struct EachValue {
  Broadcast shape;
  int64_t count;
  Body body;
  P3D_HOST_DEVICE void operator()(int64_t first, int64_t step) const {
    const int64_t row = Quotient(first, shape.inner);
    const int64_t rows = Quotient(step, shape.inner);
    int64_t place = first - row * shape.inner;
    int64_t d = row - Quotient(row, shape.dim) * shape.dim;
    const int64_t places = step - rows * shape.inner;
    const int64_t ds = rows - Quotient(rows, shape.dim) * shape.dim;
    for (int64_t i = first; i < count; i += step) {
      body(i, d);
      place += places;
      d += ds;
      if (place >= shape.inner) {
        place -= shape.inner;
        ++d;
      }
      if (d >= shape.dim) d -= shape.dim;
    }
  }
};

template <typename Rows>
struct RowsOfOneColumn {
  Rows rows;
  P3D_HOST_DEVICE auto Sum(int64_t row, int64_t lane) const
      -> decltype(rows.Sum(row, lane)) {
    return rows.Sum(row, lane);
  }
  template <typename Value>
  P3D_HOST_DEVICE void Store(int64_t row, int64_t, const Value& sum) const {
    rows.Store(row, sum);
  }
};

}  // namespace detail

// body(i) for every i in [0, count). `kernel` is its name in an error.
template <typename Body>
void ForEach(CUstream_st* stream, const char* kernel, int64_t count,
             const Body& body) {
  if (count <= 0) return;
  detail::LaunchThreads(stream, kernel, count,
                        detail::EachItem<Body>{count, body});
}

// body(i, d) for every value x[o, d, inner] at place i.
template <typename Body>
void ForEachValue(CUstream_st* stream, const char* kernel,
                  const Broadcast& shape, const Body& body) {
  const int64_t count = shape.count();
  if (count <= 0) return;
  detail::LaunchThreads(stream, kernel, count,
                        detail::EachValue<Body>{shape, count, body});
}

// rows.Store(row, column, sum of rows.Sum(row, lane) over those lanes of
// [0, kThreads) that are column + a multiple of width) for every row in
// [0, count) and column in [0, width), a power of 2 up to kThreads. Sums are of
// any type with +=. The order of the additions is always the same.
template <typename Rows>
void SumColumns(CUstream_st* stream, const char* kernel, int64_t count,
                int width, const Rows& rows) {
  if (count <= 0) return;
  detail::LaunchRows<false>(stream, kernel, count, width, rows);
}

// The same where every lane gets the sum of its column:
// rows.Store(row, lane, sum).
template <typename Rows>
void SpreadColumns(CUstream_st* stream, const char* kernel, int64_t count,
                   int width, const Rows& rows) {
  if (count <= 0) return;
  detail::LaunchRows<true>(stream, kernel, count, width, rows);
}

// Of one column: rows.Store(row, sum of rows.Sum(row, lane) over all lanes).
template <typename Rows>
void SumRows(CUstream_st* stream, const char* kernel, int64_t count,
             const Rows& rows) {
  SumColumns(stream, kernel, count, 1, detail::RowsOfOneColumn<Rows>{rows});
}

// Has `count` blocks (at most kMaxTiles) of Tiles::kLanes threads each make a
// tile. The threads of a block share memory of type Tiles::Shared; each is a
// Tiles::Lane, made of (tiles, block, lane), that does
//
//   steps() times:  Fetch()            reads into registers
//                   Put(&shared)       hands to the others
//                   Multiply(shared)   uses what all have put
//   Store()
//
// The Fetch of a step may come before the Multiply of the one before it.
template <typename Tiles>
void MakeTiles(CUstream_st* stream, const char* kernel, int64_t count,
               const Tiles& tiles) {
  if (count <= 0) return;
  Check(count <= kMaxTiles, kernel, " would need ", count,
        " blocks on the GPU");
  detail::LaunchTiles(stream, kernel, count, tiles);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CUDA_LAUNCH_HPP_
