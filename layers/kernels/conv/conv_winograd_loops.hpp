#ifndef P3D_KERNELS_CONV_WINOGRAD_LOOPS_HPP_
#define P3D_KERNELS_CONV_WINOGRAD_LOOPS_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_panels.hpp"
#include "kernels/conv/conv_prefetch.hpp"
#include "kernels/conv/conv_winograd.hpp"
#include "kernels/conv/conv_winograd_grid.hpp"

namespace p3d {

// What Winograd's convolutions (see conv_winograd.hpp) of all kinds of values
// have in common: they cut one into blocks of tiles and panels for the threads,
// and transform and multiply each. Value: float, or Bf16, whose inputs in
// `panels` are pairs (see IgemmTileOf), while `shape` counts channels.
//
// The taps of `panels` are the kernel's nine where `kernel` transforms weights,
// else they are the 16 positions.
template <typename Value>
class WinogradLoops {
 public:
  // Null for what it cannot do.
  static std::unique_ptr<const WinogradLoops> Create(
      const ConvShape& shape, const WeightPanels& panels,
      const IgemmKernel& products, const WinogradKernelOf<Value>& kernel);

  // Whether it would be faster than a direct convolution.
  bool Pays() const;
  // The same for tiles inside a large image of weights that are packed as they
  // are multiplied: whatever the input's size.
  bool PaysInside() const;

  // See Conv.
  void Run(const Value* x, const float* packed, const Epilogue<Value>& epilogue,
           Value* y, const NextWeights& next) const;

 private:
  WinogradLoops(const ConvShape& shape, const WeightPanels& panels,
                const IgemmKernel& products,
                const WinogradKernelOf<Value>& kernel);
  struct Split {
    int64_t tiles, panels;  // of a task
  };
  struct Task {
    int64_t first_tile, tiles;
    int64_t first_panel, end_panel;
    NextWeights next;  // to fetch
    // Inputs to fetch, of the task that this thread will probably do next.
    const float* next_x;
    int64_t next_x_words;
  };
  struct Streams {
    int64_t count;
    PrefetchStream stream[2];  // which take turns with the positions
  };
  struct Buffers {
    const Value* x;
    const float* packed;
    const Epilogue<Value>& epilogue;
    Value* y;
  };
  // A task's scratch memory, and what is where in it.
  struct Block;

  int64_t MostTiles() const;
  double Cost(const Split& split) const;
  Split ChooseSplit() const;
  void RunTask(const Task& task, const Buffers& buffers) const;
  void ReadInput(const Task& task, const Value* x, Block* block) const;
  void RunPanel(const Task& task, int64_t panel, const Buffers& buffers,
                const Block& block) const;
  const float* WeightsAt(int64_t position, const float* taps, int64_t pitch,
                         const Block& block) const;
  void Multiply(const float* taps, int64_t panel, int64_t first, int64_t count,
                const Block& block, Streams* streams) const;
  void MultiplyTiles(IgemmTile call, const Block& block,
                     PrefetchStream* stream) const;
  void WriteOutput(int64_t panel, const Buffers& buffers,
                   const Block& block) const;
  Streams Ahead(const Task& task, int64_t panel, int64_t first,
                const float* packed, const Block& block) const;

  const int64_t channels_;
  const WeightPanels panels_;
  const IgemmKernel& products_;
  const WinogradKernelOf<Value>& kernel_;
  const WinogradGrid grid_;
  const int64_t chunk_;  // of inputs
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WINOGRAD_LOOPS_HPP_
