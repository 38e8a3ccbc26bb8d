#include "kernels/conv_igemm.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/conv_prefetch.hpp"
#include "kernels/panel_conv.hpp"
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

// Tiles that one task computes, for one panel of weights after the other.
struct Block {
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

// Calls of the inner loop, each of which can prefetch a little.
int64_t Portions(const PixelClass& box) {
  int64_t count = 0;
  for (const TapRun& run : box.runs) {
    count += CeilDiv(run.length, kIgemmPrefetchSteps);
  }
  return count;
}

class IgemmConv : public PanelConv {
 public:
  IgemmConv(const ConvShape& shape, const IgemmKernel& kernel);

  const char* name() const override { return kernel_.name; }
  int64_t workspace_size() const override { return plan_.padded_size(); }
  void Run(const float* x, const float* packed, const ConvEpilogue& epilogue,
           float* y, float* workspace, const NextWeights& next) const override;

 private:
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
    const ConvEpilogue& epilogue;
    float* y;
  };
  Split ChooseSplit() const;
  void Fill(int64_t first, int64_t end, Block* block) const;
  IgemmTile PanelCall(const Buffers& buffers, int64_t group,
                      int64_t panel) const;
  void RunBlock(const Block& block, const Task& task,
                const Buffers& buffers) const;

  const IgemmKernel& kernel_;
  const ConvPlan plan_;
  const double input_bytes_;  // of a group
  int64_t tiles_ = 0;
  std::vector<int64_t> first_tiles_;  // of each class; behind the last: tiles_
};

// Depthwise, the many groups are the channels of one.
WeightPanels MakePanels(const ConvShape& shape, const IgemmKernel& kernel) {
  const int64_t groups = kernel.depthwise ? 1 : shape.group;
  return WeightPanels(groups, shape.channels / shape.group,
                      shape.num_output / groups, shape.taps(), kernel.vector,
                      kernel.vectors);
}

IgemmConv::IgemmConv(const ConvShape& shape, const IgemmKernel& kernel)
    : PanelConv(MakePanels(shape, kernel)),
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

void IgemmConv::Run(const float* x, const float* packed,
                    const ConvEpilogue& epilogue, float* y, float* workspace,
                    const NextWeights& next) const {
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
IgemmConv::Split IgemmConv::ChooseSplit() const {
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
void IgemmConv::Fill(int64_t first, int64_t end, Block* block) const {
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
IgemmTile IgemmConv::PanelCall(const Buffers& buffers, int64_t group,
                               int64_t panel) const {
  const int64_t channel = group * panels_.outputs() + panels_.First(panel);
  IgemmTile call;
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
void IgemmConv::RunBlock(const Block& block, const Task& task,
                         const Buffers& buffers) const {
  int64_t portions = 0;
  for (int64_t i = 0; i < block.tiles; ++i) {
    portions += Portions(*block.tile[i].box);
  }
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    IgemmTile call = PanelCall(buffers, task.group, panel);
    const NextWeights next =
        panel + 1 < task.end_panel
            ? NextWeights{call.weights + panels_.Size(panel),
                          panels_.Size(panel + 1)}
            : task.next;
    PrefetchStream stream(next.packed, next.size, portions);
    const IgemmTileFunction* functions =
        kernel_.tiles + panels_.Pitch(panel) / kernel_.vector - 1;
    for (int64_t i = 0; i < block.tiles; ++i) {
      const Block::Tile& tile = block.tile[i];
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

}  // namespace

const IgemmKernel* const* IgemmKernels(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return IgemmKernelsAvx512();
    case Isa::kAvx2:
      return IgemmKernelsAvx2();
    case Isa::kGeneric:
      break;
  }
  return IgemmKernelsGeneric();
}

const IgemmKernel& IgemmKernelFor(int64_t outputs, Isa isa) {
  const IgemmKernel* const* kernel = IgemmKernels(isa) + 1;
  while (kernel[1] && outputs <= kernel[1]->vectors * kernel[1]->vector) {
    ++kernel;
  }
  return **kernel;
}

std::unique_ptr<Conv> CreateConvIgemm(const ConvShape& shape, Isa isa) {
  const IgemmKernel* const depthwise_kernel = *IgemmKernels(isa);
  if (depthwise_kernel == nullptr) return nullptr;
  if (shape.taps() > kMaxTaps) return nullptr;
  const bool depthwise = shape.group > 1 && shape.group == shape.channels &&
                         shape.group == shape.num_output;
  const IgemmKernel& kernel =
      depthwise ? *depthwise_kernel
                : IgemmKernelFor(shape.num_output / shape.group, isa);
  std::unique_ptr<Conv> conv(new IgemmConv(shape, kernel));
  const int64_t in = shape.num * shape.in_pixels() * shape.channels;
  const bool fits = conv->workspace_size() <= kMaxPadded ||
                    conv->workspace_size() / kMaxPaddedGrowth <= in;
  return fits ? std::move(conv) : nullptr;
}

}  // namespace p3d
