#include "kernels/conv/conv_igemm_loops.hpp"

#include "kernels/conv/conv_prefetch.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// How far ahead of the present tile the input is fetched, in tiles.
const int64_t kTilesAhead = 2;

// Calls of the inner loop, each of which can prefetch a little.
int64_t Portions(const PixelClass& box) {
  int64_t count = 0;
  for (const TapRun& run : box.runs) {
    count += run.length / kIgemmPrefetchSteps;
  }
  return count;
}

// A block's input and weights fit a usual L2 cache. As much of the next
// convolution's weights is fetched as it will read before its own prefetching
// takes effect: Winograd's reads a panel.
template <typename Value>
LoopCosts CostsOf(const WeightPanels& panels,
                  const IgemmKernelOf<Value>& kernel) {
  LoopCosts costs;
  costs.plan.tile_pixels = costs.rows = kernel.rows;
  costs.plan.min_pixels = kernel.min_rows;
  costs.plan.passes = panels.groups() * panels.panels();
  costs.plan.tile_steps = 16;
  costs.plan.copy_steps = 0.3;
  costs.plan.gather_steps = 0;
  costs.whole = false;
  costs.tile_steps = 8;
  costs.task_steps = 50;
  costs.bytes_per_step = 32;
  costs.block_bytes = 400e3;
  costs.least_tiles = 16;
  costs.next_words = 144 << 10;
  return costs;
}

}  // namespace

template <typename Value>
std::unique_ptr<const IgemmLoops<Value>> IgemmLoops<Value>::Create(
    const ConvShape& shape, const WeightPanels& panels,
    const IgemmKernelOf<Value>& kernel) {
  if (Base::IsAbsurd(shape)) return nullptr;
  std::unique_ptr<const IgemmLoops> loops(
      new IgemmLoops(shape, panels, kernel));
  return loops->Base::IsAbsurd() ? nullptr : std::move(loops);
}

template <typename Value>
IgemmLoops<Value>::IgemmLoops(const ConvShape& shape,
                              const WeightPanels& panels,
                              const IgemmKernelOf<Value>& kernel)
    : Base(shape, panels, CostsOf(panels, kernel)), kernel_(kernel) {}

// The first panel's calls fetch the input ahead. All fetch the next panel, the
// last one's the next convolution's.
template <typename Value>
void IgemmLoops<Value>::RunBlock(const Block& block, const Task& task,
                                 const Buffers& buffers) const {
  const std::vector<PixelClass>& classes = this->plan().classes();
  const WeightPanels& panels = this->panels();
  int64_t portions = 0;
  for (int64_t i = 0; i < block.tiles; ++i) {
    portions += Portions(classes[block.tile[i].box]);
  }
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    IgemmTileOf<Value> call;
    call.weights = this->Begin(buffers, task.group, panel, &call);
    call.x = buffers.x + (kernel_.depthwise ? panels.First(panel)
                                            : task.group * panels.inputs());
    const NextWeights next = this->Next(buffers, task, panel);
    PrefetchStream stream(next.packed, next.size, portions);
    const IgemmTileFunctionOf<Value>* functions =
        kernel_.tiles + panels.Pitch(panel) / kernel_.vector - 1;
    for (int64_t i = 0; i < block.tiles; ++i) {
      const auto& tile = block.tile[i];
      const PixelClass& box = classes[tile.box];
      call.runs = box.runs.data();
      call.num_runs = box.runs.size();
      call.x_places = block.x_places + tile.first;
      call.y_places = block.y_places + tile.first;
      call.next_places = nullptr;
      if (panel == task.first_panel && i + kTilesAhead < block.tiles) {
        const int64_t ahead = block.tile[i + kTilesAhead].first;
        if (ahead + tile.rows <= block.pixels) {
          call.next_places = block.x_places + ahead;
        }
      }
      stream.Feed(Portions(box), &call);
      functions[(tile.rows - 1) * kernel_.vectors](call);
    }
  }
}

template class IgemmLoops<float>;
template class IgemmLoops<Bf16>;

}  // namespace p3d
