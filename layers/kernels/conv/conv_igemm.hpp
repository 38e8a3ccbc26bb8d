#ifndef P3D_KERNELS_CONV_IGEMM_HPP_
#define P3D_KERNELS_CONV_IGEMM_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_plan.hpp"

namespace p3d {

// Indirect GEMM: the convolution as a matrix product whose left rows, the
// pixels, are found through offsets instead of being copied together (im2col).
// A micro-kernel keeps a tile of sums, some pixels times one panel of output
// channels, in registers: it multiplies each input value with one row of packed
// weights.

// What one call of a micro-kernel works on. Row r of the tile is an output
// pixel. For each run and each i in [0, run.length)
//
//   sum[r][j] += x[x_places[r] + run.x + i] * w[(run.row + i) * pitch + j]
//
// then the epilogue, then y[y_places[r] + j] = sum[r][j] for j in [0, width).
// w are the weights; pitch is that of whole vectors that hold `width` channels.
//
// To a kernel of bfloat16 x and w are words of 32 bits, a pair of Bf16 each: of
// two neighbouring input channels, and a product of words is the sum of both
// products. Places in x, runs and pitch count words, those in y values.
template <typename Value>
constexpr int64_t kPerWord = sizeof(float) / sizeof(Value);

template <typename Value>
struct IgemmTileOf {
  const float* x;
  const int64_t* x_places;
  const int64_t*
      next_places;  // of a later tile, to prefetch its values; or null
  const TapRun* runs;
  int64_t num_runs;
  const float* weights;
  int64_t width;
  // Scale, shift and residual from the panel's start on.
  Epilogue<Value> epilogue;
  Value* y;
  const int64_t* y_places;
  const float* prefetch;   // memory to be read later, such as the next weights
  int64_t prefetch_lines;  // cache lines of it to fetch at a time
};
using IgemmTile = IgemmTileOf<float>;

// A call prefetches before every so many of a run's values.
constexpr int64_t kIgemmPrefetchSteps = 8;

// Sums of outer products instead: what the tile's rows are multiplied with at a
// time are neighbours in x, from the first one's place on. There is one run,
// whose x and row are the steps from one i to the next.
//
//   sum[r][j] += x[x_places[0] + i * run.x + r] * w[i * run.row + j]

template <typename Value>
using IgemmTileFunctionOf = void (*)(const IgemmTileOf<Value>& tile);
using IgemmTileFunction = IgemmTileFunctionOf<float>;

// A family of micro-kernels of one tile shape.
template <typename Value>
struct IgemmKernelOf {
  const char* name;
  // Each group has one input and one output channel. Then an input value is
  // multiplied with its own channel's weight alone: in the formula above, i is
  // 0 and x[... + j] stands for x[... + i].
  bool depthwise;
  int rows;      // pixels of the largest tile
  int min_rows;  // smaller tiles take about as long as this one
  int vector;    // floats of a vector
  int vectors;   // of the widest panel
  // [(rows - 1) * vectors + vectors - 1]
  const IgemmTileFunctionOf<Value>* tiles;
  const IgemmTileFunctionOf<Value>* outer;  // the narrowest family's, else null
};
using IgemmKernel = IgemmKernelOf<float>;

// Of families from the widest panel to the narrowest, then null: the one with
// the narrowest panel that holds so many outputs, or else the widest.
template <typename Value>
const IgemmKernelOf<Value>& Holding(int64_t outputs,
                                    const IgemmKernelOf<Value>* const* kernel) {
  while (kernel[1] && outputs <= kernel[1]->vectors * kernel[1]->vector) {
    ++kernel;
  }
  return **kernel;
}

// The families of each instruction set: depthwise, then from the widest panel
// to the narrowest, then null. Null alone where the compiler's target has no
// such set.
const IgemmKernel* const* IgemmKernelsAvx512();
const IgemmKernel* const* IgemmKernelsAvx2();
const IgemmKernel* const* IgemmKernelsGeneric();
const IgemmKernel* const* IgemmKernels(Isa isa);
// The one for a shape that is not depthwise, whether it is used as it is or for
// Winograd's products. Only for sets that have any.
const IgemmKernel& IgemmKernelFor(const ConvShape& shape, Isa isa);

// "conv_f32_depthwise_<tile>_<isa>" for groups of one input and one output
// channel, else "conv_f32_igemm_<tile>_<isa>": together they do every shape but
// absurd ones (see IgemmLoops).
std::unique_ptr<Conv> CreateConvIgemm(const ConvShape& shape, Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_IGEMM_HPP_
