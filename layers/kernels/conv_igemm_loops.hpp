#ifndef P3D_KERNELS_CONV_IGEMM_LOOPS_HPP_
#define P3D_KERNELS_CONV_IGEMM_LOOPS_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv.hpp"
#include "kernels/conv_igemm.hpp"
#include "kernels/conv_panels.hpp"
#include "kernels/conv_plan.hpp"

namespace p3d {

// What indirect GEMMs (see conv_igemm.hpp) of all kinds of values have in
// common: they cut a convolution into blocks of tiles and panels for the
// threads, and call a micro-kernel for each tile. Value: float, or Bf16, whose
// channels in `shape` and inputs in `panels` are pairs (see IgemmTileOf).
template <typename Value>
class IgemmLoops {
 public:
  // Null for absurd shapes: a million taps, padding that makes gigabytes of
  // the input.
  static std::unique_ptr<const IgemmLoops> Create(
      const ConvShape& shape, const WeightPanels& panels,
      const IgemmKernelOf<Value>& kernel);

  // Floats.
  int64_t workspace_size() const { return plan_.padded_size(); }
  // See Conv.
  void Run(const float* x, const float* packed, const Epilogue<Value>& epilogue,
           Value* y, float* workspace, const NextWeights& next) const;

 private:
  struct Block;
  struct Split {
    int64_t tiles, panels;  // of a task
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
  IgemmLoops(const ConvShape& shape, const WeightPanels& panels,
             const IgemmKernelOf<Value>& kernel);
  Split ChooseSplit() const;
  void Fill(int64_t first, int64_t end, Block* block) const;
  IgemmTileOf<Value> PanelCall(const Buffers& buffers, int64_t group,
                               int64_t panel) const;
  void RunBlock(const Block& block, const Task& task,
                const Buffers& buffers) const;

  const WeightPanels panels_;
  const IgemmKernelOf<Value>& kernel_;
  const ConvPlan plan_;
  const double input_bytes_;  // of a group
  int64_t tiles_ = 0;
  std::vector<int64_t> first_tiles_;  // of each class; behind the last: tiles_
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_IGEMM_LOOPS_HPP_
