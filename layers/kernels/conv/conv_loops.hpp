#ifndef P3D_KERNELS_CONV_LOOPS_HPP_
#define P3D_KERNELS_CONV_LOOPS_HPP_

#include <cstdint>
#include <vector>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_panels.hpp"
#include "kernels/conv/conv_plan.hpp"

namespace p3d {

// How a kind of micro-kernels works, as far as it decides how a convolution is
// cut. A step is what a tile takes for one row of a panel of weights.
struct LoopCosts {
  PlanCosts plan;
  int64_t rows;           // pixels of a tile
  bool whole;             // all tiles but a box's last have so many, or similar
  double tile_steps;      // of a tile, beside those for its depth
  double task_steps;      // of a task, beside those of its tiles
  double bytes_per_step;  // that are fetched from memory
  double block_bytes;     // of input that a task may touch again and again
  double least_tiles;     // fewer would not repay a panel fetched from memory
  int64_t next_words;     // of the next weights to be fetched for each thread
};

// What indirect GEMMs (see conv_igemm.hpp) of all kinds of micro-kernels have
// in common: they cut a convolution into blocks of tiles and panels for the
// threads. Value: float, or Bf16, whose channels in `shape` and inputs in
// `panels` are pairs (see IgemmTileOf).
template <typename Value>
class ConvLoops {
 public:
  virtual ~ConvLoops() = default;

  // A million taps, padding that makes gigabytes of the input.
  static bool IsAbsurd(const ConvShape& shape);
  bool IsAbsurd() const;

  // Floats.
  int64_t workspace_size() const { return plan_.padded_size(); }
  // See Conv.
  void Run(const float* x, const float* packed, const Epilogue<Value>& epilogue,
           Value* y, float* workspace, const NextWeights& next) const;

 protected:
  // The most pixels whose places a task keeps on its stack.
  static constexpr int64_t kBlockPixels = 512;

  // Tiles that one task computes, for one panel of weights after the other.
  struct Block {
    struct Tile {
      int64_t box;    // of the plan's classes
      int64_t first;  // of its pixels in the places below
      int64_t rows;
    };
    int64_t tiles = 0;
    int64_t pixels = 0;
    Tile tile[kBlockPixels];
    int64_t x_places[kBlockPixels];
    int64_t y_places[kBlockPixels];
  };
  struct Task {
    int64_t group;
    int64_t first_panel, end_panel;
    NextWeights next;  // to fetch
  };
  struct Buffers {
    const float* x;
    const float* packed;
    const Epilogue<Value>& epilogue;
    Value* y;
  };

  ConvLoops(const ConvShape& shape, const WeightPanels& panels,
            const LoopCosts& costs);

  virtual void RunBlock(const Block& block, const Task& task,
                        const Buffers& buffers) const = 0;

  // Writes what all calls of a micro-kernel for one panel share; returns its
  // weights.
  template <typename Call>
  const float* Begin(const Buffers& buffers, int64_t group, int64_t panel,
                     Call* call) const {
    const int64_t channel = group * panels_.outputs() + panels_.First(panel);
    call->width = panels_.Width(panel);
    call->epilogue = buffers.epilogue;
    if (call->epilogue.scale) call->epilogue.scale += channel;
    if (call->epilogue.shift) call->epilogue.shift += channel;
    if (call->epilogue.residual) call->epilogue.residual += channel;
    call->y = buffers.y + channel;
    return buffers.packed + panels_.Offset(group, panel);
  }
  // The weights to fetch meanwhile: the next panel, behind a task's last one
  // those of the next convolution.
  NextWeights Next(const Buffers& buffers, const Task& task,
                   int64_t panel) const;

  const WeightPanels& panels() const { return panels_; }
  const ConvPlan& plan() const { return plan_; }

 private:
  struct Split {
    int64_t tiles, panels;  // of a task, at most
  };
  Split ChooseSplit() const;
  void Fill(int64_t first, int64_t end, Block* block) const;

  const WeightPanels panels_;
  const LoopCosts costs_;
  const ConvPlan plan_;
  const int64_t input_size_;
  int64_t tiles_ = 0;
  std::vector<int64_t> first_tiles_;  // of each class; behind the last: tiles_
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_LOOPS_HPP_
