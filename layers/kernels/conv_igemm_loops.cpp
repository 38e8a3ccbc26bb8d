#include "kernels/conv_igemm_loops.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/conv_prefetch.hpp"
#include "kernels/ranges.hpp"
#include "kernels/thread_pool.hpp"

namespace p3d {
namespace {

// The most pixels whose places a task keeps on its stack, and the bytes of
// input and weights that it may touch again and again: part of a usual L2
// cache.
const int64_t kBlockPixels = 512;
const double kBlockBytes = 400e3;
// Fewer tiles than this would not repay a panel of weights fetched from memory.
const double kLeastTiles = 16;

// As much of the next convolution's weights is fetched for each thread: what it
// will read before its own prefetching takes effect. Winograd's reads a panel.
const int64_t kNextFloats = 144 << 10;

// Kernels with more taps, or padding that makes more floats of the input (and
// many times as many), are left to the plain loops: the lists of taps and the
// padded copy would cost more memory than anyone expects.
const int64_t kMaxTaps = 1 << 20;
const int64_t kMaxPadded = 1 << 26;
const int64_t kMaxPaddedGrowth = 8;

// How far ahead of the present tile the input is fetched, in tiles.
const int64_t kTilesAhead = 2;

// Calls of the inner loop, each of which can prefetch a little.
int64_t Portions(const PixelClass& box) {
  int64_t count = 0;
  for (const TapRun& run : box.runs) {
    count += CeilDiv(run.length, kIgemmPrefetchSteps);
  }
  return count;
}

}  // namespace

// Tiles that one task computes, for one panel of weights after the other.
template <typename Value>
struct IgemmLoops<Value>::Block {
  struct Tile {
    const PixelClass* box;
    int64_t first;  // of its pixels in the places below
    int64_t rows;
  };
  int64_t tiles = 0;
  int64_t pixels = 0;
  Tile tile[kBlockPixels];
  int64_t x_places[kBlockPixels];
  int64_t y_places[kBlockPixels];
};

template <typename Value>
std::unique_ptr<const IgemmLoops<Value>> IgemmLoops<Value>::Create(
    const ConvShape& shape, const WeightPanels& panels,
    const IgemmKernelOf<Value>& kernel) {
  if (shape.taps() > kMaxTaps) return nullptr;
  std::unique_ptr<const IgemmLoops> loops(
      new IgemmLoops(shape, panels, kernel));
  const int64_t in = shape.num * shape.in_pixels() * shape.channels;
  const bool fits = loops->workspace_size() <= kMaxPadded ||
                    loops->workspace_size() / kMaxPaddedGrowth <= in;
  return fits ? std::move(loops) : nullptr;
}

template <typename Value>
IgemmLoops<Value>::IgemmLoops(const ConvShape& shape,
                              const WeightPanels& panels,
                              const IgemmKernelOf<Value>& kernel)
    : panels_(panels),
      kernel_(kernel),
      plan_(shape, PlanCosts{kernel.rows, kernel.min_rows,
                             panels_.groups() * panels_.panels()}),
      input_bytes_(4. * shape.num * shape.in_pixels() * shape.channels /
                   panels_.groups()) {
  for (const PixelClass& box : plan_.classes()) {
    first_tiles_.push_back(tiles_);
    tiles_ += CeilDiv(box.pixels, kernel_.rows);
  }
  first_tiles_.push_back(tiles_);
}

template <typename Value>
void IgemmLoops<Value>::Run(const float* x, const float* packed,
                            const Epilogue<Value>& epilogue, Value* y,
                            float* workspace, const NextWeights& next) const {
  if (plan_.padded_size() > 0) {
    plan_.PadInput(x, workspace);
    x = workspace;
  }
  const Buffers buffers = {x, packed, epilogue, y};
  const Split split = ChooseSplit();
  const int64_t blocks = CeilDiv(tiles_, split.tiles);
  const int64_t parts = CeilDiv(panels_.panels(), split.panels);
  const int64_t tasks = panels_.groups() * blocks * parts;
  ParallelFor(tasks, [&](int64_t index) {
    const int64_t tile = index / parts % blocks * split.tiles;
    const int64_t panel = index % parts * split.panels;
    const Task task = {index / (blocks * parts), panel,
                       std::min(panel + split.panels, panels_.panels()),
                       ShareOf(next, kNextFloats, index, tasks)};
    Block block;
    Fill(tile, std::min(tile + split.tiles, tiles_), &block);
    RunBlock(block, task, buffers);
  });
}

// Few large tasks: each reads its part of the input and of the weights once.
// Many small ones: no thread waits long for the last. The candidate with the
// shortest time on the busiest thread is taken, in steps of a tile.
template <typename Value>
typename IgemmLoops<Value>::Split IgemmLoops<Value>::ChooseSplit() const {
  const double kTileSteps = 8, kTaskSteps = 50, kBytesPerStep = 32;
  const double tile_bytes = input_bytes_ / tiles_;
  const double panel_bytes = 4. * panels_.Size(0);
  const double room = std::max(kLeastTiles, kBlockBytes / tile_bytes);
  const int64_t most = static_cast<int64_t>(
      std::min({room, 1. * kBlockPixels / kernel_.rows, 1. * tiles_}));
  Split best{most, panels_.panels()};
  double best_cost = HUGE_VAL;
  for (int64_t parts = 1; parts <= panels_.panels(); parts *= 2) {
    for (int64_t cuts = 1; cuts <= 16; cuts *= 2) {
      const Split split{CeilDiv(tiles_, CeilDiv(tiles_, most) * cuts),
                        CeilDiv(panels_.panels(), parts)};
      const double tasks = 1. * panels_.groups() *
                           CeilDiv(tiles_, split.tiles) *
                           CeilDiv(panels_.panels(), split.panels);
      const double bytes =
          split.tiles * tile_bytes + split.panels * panel_bytes;
      const double task =
          split.tiles * split.panels * (panels_.depth() + kTileSteps) +
          bytes / kBytesPerStep + kTaskSteps;
      const double cost = std::ceil(tasks / NumThreads()) * task;
      if (cost < best_cost) {
        best_cost = cost;
        best = split;
      }
    }
  }
  return best;
}

// Cuts tiles [first, end) out of the classes; those of one class have as
// similar sizes as possible.
template <typename Value>
void IgemmLoops<Value>::Fill(int64_t first, int64_t end, Block* block) const {
  size_t index =
      std::upper_bound(first_tiles_.begin(), first_tiles_.end(), first) -
      first_tiles_.begin() - 1;
  for (; first < end; ++index) {
    const PixelClass& box = plan_.classes()[index];
    const int64_t count = first_tiles_[index + 1] - first_tiles_[index];
    const int64_t small = box.pixels / count, large = box.pixels % count;
    const int64_t from = block->pixels;
    int64_t tile = first - first_tiles_[index];
    const int64_t start = tile * small + std::min(tile, large);
    for (; first < std::min(end, first_tiles_[index + 1]); ++first, ++tile) {
      const int64_t rows = small + (tile < large);
      block->tile[block->tiles++] = {&box, block->pixels, rows};
      block->pixels += rows;
    }
    plan_.Locate(box, start, block->pixels - from, block->x_places + from,
                 block->y_places + from);
  }
}

// What all calls for one panel share.
template <typename Value>
IgemmTileOf<Value> IgemmLoops<Value>::PanelCall(const Buffers& buffers,
                                                int64_t group,
                                                int64_t panel) const {
  const int64_t channel = group * panels_.outputs() + panels_.First(panel);
  IgemmTileOf<Value> call;
  call.x = buffers.x + (kernel_.depthwise ? channel : group * panels_.inputs());
  call.weights = buffers.packed + panels_.Offset(group, panel);
  call.width = panels_.Width(panel);
  call.epilogue = buffers.epilogue;
  if (call.epilogue.scale) call.epilogue.scale += channel;
  if (call.epilogue.shift) call.epilogue.shift += channel;
  if (call.epilogue.residual) call.epilogue.residual += channel;
  call.y = buffers.y + channel;
  return call;
}

// The first panel's calls fetch the input ahead. All fetch the next panel, the
// last one's the next convolution's.
template <typename Value>
void IgemmLoops<Value>::RunBlock(const Block& block, const Task& task,
                                 const Buffers& buffers) const {
  int64_t portions = 0;
  for (int64_t i = 0; i < block.tiles; ++i) {
    portions += Portions(*block.tile[i].box);
  }
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    IgemmTileOf<Value> call = PanelCall(buffers, task.group, panel);
    const NextWeights next =
        panel + 1 < task.end_panel
            ? NextWeights{call.weights + panels_.Size(panel),
                          panels_.Size(panel + 1)}
            : task.next;
    PrefetchStream stream(next.packed, next.size, portions);
    const IgemmTileFunctionOf<Value>* functions =
        kernel_.tiles + panels_.Pitch(panel) / kernel_.vector - 1;
    for (int64_t i = 0; i < block.tiles; ++i) {
      const typename Block::Tile& tile = block.tile[i];
      call.runs = tile.box->runs.data();
      call.num_runs = tile.box->runs.size();
      call.x_places = block.x_places + tile.first;
      call.y_places = block.y_places + tile.first;
      call.next_places = nullptr;
      if (panel == task.first_panel && i + kTilesAhead < block.tiles) {
        const int64_t ahead = block.tile[i + kTilesAhead].first;
        if (ahead + tile.rows <= block.pixels) {
          call.next_places = block.x_places + ahead;
        }
      }
      stream.Feed(Portions(*tile.box), &call);
      functions[(tile.rows - 1) * kernel_.vectors](call);
    }
  }
}

template class IgemmLoops<float>;
template class IgemmLoops<Bf16>;

}  // namespace p3d
