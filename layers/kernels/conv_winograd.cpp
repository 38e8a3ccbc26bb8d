#include "kernels/conv_winograd.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/conv_igemm.hpp"
#include "kernels/conv_prefetch.hpp"
#include "kernels/conv_winograd_grid.hpp"
#include "kernels/panel_conv.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"
#include "kernels/thread_pool.hpp"

namespace p3d {
namespace {

constexpr int64_t kPositions = 16;
constexpr int64_t kTaps = 9;
constexpr int kMostRows = 12;

// Floats of a cache line. So much between what would lie a power of two apart
// lets neighbours share the caches.
constexpr int64_t kLine = 16;

// The most tiles whose places a task keeps on its stack, and the most floats of
// their transformed inputs and of a panel's transformed weights: few enough for
// the caches behind L1, enough for long sums and for many tiles per weight.
const int64_t kBlockTiles = 512;
const double kInputFloats = 320 << 10;
const int64_t kWeightFloats = 256 << 10;
// Fewer tiles than this would not repay their weights' transform. With more
// channels than that, so many would take more memory than anyone expects.
const double kLeastTiles = 48;
const int64_t kMaxChannels = 1 << 13;

// Costs in multiplications: of transforming an input and a weight to all
// positions, of an output's sums back, of a micro-kernel's call per output
// channel, and of a task.
const double kInputCost = 100, kWeightCost = 90, kOutputCost = 90;
const double kCallCost = 30, kTaskCost = 200e3;

// As much of the next convolution's weights is fetched for each thread.
const int64_t kNextFloats = 64 << 10;

int64_t RoundUp(int64_t value, int64_t unit) {
  return CeilDiv(value, unit) * unit;
}

class WinogradConv : public PanelConv {
 public:
  WinogradConv(const ConvShape& shape, const IgemmKernel& products,
               const WinogradKernel& kernel);

  // Whether it would be faster than a direct convolution.
  bool Pays() const;

  const char* name() const override { return kernel_.name; }
  int64_t workspace_size() const override { return 0; }
  void Run(const float* x, const float* packed, const ConvEpilogue& epilogue,
           float* y, float* workspace, const NextWeights& next) const override;

 private:
  struct Split {
    int64_t tiles, panels;  // of a task
  };
  struct Task {
    int64_t first_tile, tiles;
    int64_t first_panel, end_panel;
    NextWeights next;  // to fetch
    // Inputs to fetch, of the task that this thread will probably do next.
    const float* next_x;
    int64_t next_x_floats;
  };
  struct Streams {
    int64_t count;
    PrefetchStream stream[2];  // which take turns with the positions
  };
  struct Buffers {
    const float* x;
    const float* packed;
    const ConvEpilogue& epilogue;
    float* y;
  };
  // A task's scratch memory, and what is where in it.
  struct Block;

  int64_t MostTiles() const;
  double Cost(const Split& split) const;
  Split ChooseSplit() const;
  void RunTask(const Task& task, const Buffers& buffers) const;
  void ReadInput(const Task& task, const float* x, Block* block) const;
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

  const IgemmKernel& products_;
  const WinogradKernel& kernel_;
  const WinogradGrid grid_;
  const int64_t chunk_;  // of input channels
};

// Channels cut into as similar numbers as possible, whole prefetch steps.
int64_t ChunkOf(int64_t channels, int64_t pitch) {
  const int64_t steps = CeilDiv(channels, kIgemmPrefetchSteps);
  const int64_t most = std::max<int64_t>(
      1, kWeightFloats / (kPositions * pitch * kIgemmPrefetchSteps));
  return CeilDiv(steps, CeilDiv(steps, most)) * kIgemmPrefetchSteps;
}

WinogradConv::WinogradConv(const ConvShape& shape, const IgemmKernel& products,
                           const WinogradKernel& kernel)
    : PanelConv(WeightPanels(1, shape.channels, shape.num_output, kTaps,
                             products.vector, products.vectors)),
      products_(products),
      kernel_(kernel),
      grid_(shape),
      chunk_(ChunkOf(shape.channels, panels_.Pitch(0))) {}

struct WinogradConv::Block {
  Block(const WinogradConv& conv, const Task& task)
      : tiles(task.tiles),
        pitch(RoundUp(conv.panels_.inputs(), kLine)),
        v_step(tiles * pitch + kLine),
        u_step(conv.chunk_ * conv.panels_.Pitch(task.first_panel) + kLine),
        m_step(tiles * conv.panels_.Pitch(task.first_panel) + kLine),
        memory(pitch + kPositions * (v_step + u_step + m_step)),
        zeros(memory.data()),
        v(zeros + pitch),
        u(v + kPositions * v_step),
        m(u + kPositions * u_step) {}

  // Of the micro-kernel at each position, for similar numbers of tiles.
  int64_t Calls(const IgemmKernel& products) const {
    return CeilDiv(tiles, products.rows);
  }

  const int64_t tiles;
  const int64_t pitch;  // from tile to tile of v
  const int64_t v_step, u_step, m_step;
  const Scratch<float> memory;
  float* const zeros;
  float* const v;
  float* const u;
  float* const m;
  int64_t y_places[4 * kBlockTiles];
};

void WinogradConv::Run(const float* x, const float* packed,
                       const ConvEpilogue& epilogue, float* y, float*,
                       const NextWeights& next) const {
  const Buffers buffers = {x, packed, epilogue, y};
  const Split split = ChooseSplit();
  const int64_t blocks = CeilDiv(grid_.tiles(), split.tiles);
  const int64_t parts = CeilDiv(panels_.panels(), split.panels);
  ParallelFor(blocks * parts, [&](int64_t index) {
    const int64_t panel = index % parts * split.panels;
    const auto tile_of = [&](int64_t block) {
      return std::min(block * split.tiles, grid_.tiles());
    };
    const int64_t here = index / parts, then = (index + NumThreads()) / parts;
    const int64_t next_x = grid_.FirstInput(tile_of(then));
    const Task task = {tile_of(here),
                       tile_of(here + 1) - tile_of(here),
                       panel,
                       std::min(panel + split.panels, panels_.panels()),
                       ShareOf(next, kNextFloats, index, blocks * parts),
                       x + next_x,
                       grid_.FirstInput(tile_of(then + 1)) - next_x};
    RunTask(task, buffers);
  });
}

int64_t WinogradConv::MostTiles() const {
  const double room = kInputFloats / (kPositions * panels_.inputs());
  return static_cast<int64_t>(std::min(
      {std::max(kLeastTiles, room), 1. * kBlockTiles, 1. * grid_.tiles()}));
}

// Of a task, in multiplications.
double WinogradConv::Cost(const Split& split) const {
  const double inputs = panels_.inputs(), tiles = split.tiles;
  const double outputs = std::min(split.panels * panels_.Pitch(0),
                                  RoundUp(panels_.outputs(), products_.vector));
  const double calls = std::ceil(tiles / products_.rows) *
                       std::ceil(inputs / chunk_) * kPositions;
  return tiles * inputs * (kPositions * outputs + kInputCost) +
         outputs * (inputs * kWeightCost + tiles * kOutputCost) +
         calls * outputs * kCallCost + kTaskCost;
}

// Of some numbers of blocks, also such that give all threads equally many, the
// one with the smallest time of the busiest thread.
WinogradConv::Split WinogradConv::ChooseSplit() const {
  const int64_t threads = NumThreads();
  const int64_t least = CeilDiv(grid_.tiles(), MostTiles());
  Split best{0, 0};
  double best_cost = HUGE_VAL;
  for (int64_t parts = 1; parts <= panels_.panels(); parts *= 2) {
    for (int64_t cuts = 1; cuts <= 16; cuts *= 2) {
      for (int64_t blocks : {least * cuts, RoundUp(least * cuts, threads)}) {
        const Split split{CeilDiv(grid_.tiles(), blocks),
                          CeilDiv(panels_.panels(), parts)};
        const int64_t tasks = CeilDiv(grid_.tiles(), split.tiles) *
                              CeilDiv(panels_.panels(), split.panels);
        const double cost = CeilDiv(tasks, threads) * Cost(split);
        if (cost < best_cost) {
          best_cost = cost;
          best = split;
        }
      }
    }
  }
  return best;
}

bool WinogradConv::Pays() const {
  const int64_t blocks = CeilDiv(grid_.tiles(), MostTiles());
  const Split split{CeilDiv(grid_.tiles(), blocks), panels_.panels()};
  const double outputs = RoundUp(panels_.outputs(), products_.vector);
  const double direct = grid_.seen() * panels_.inputs() * outputs;
  return blocks * Cost(split) < direct;
}

void WinogradConv::RunTask(const Task& task, const Buffers& buffers) const {
  Block block(*this, task);
  ReadInput(task, buffers.x, &block);
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    RunPanel(task, panel, buffers, block);
  }
}

void WinogradConv::ReadInput(const Task& task, const float* x,
                             Block* block) const {
  std::fill_n(block->zeros, block->pitch, 0.f);
  WinogradGrid::Tile tile = grid_.At(task.first_tile);
  for (int64_t i = 0; i < task.tiles; ++i, grid_.Next(&tile)) {
    const float* pixels[kPositions];
    grid_.LocateInputs(tile, x, block->zeros, pixels);
    grid_.LocateOutputs(tile, block->y_places + 4 * i);
    kernel_.input(
        {pixels, panels_.inputs(), block->v + i * block->pitch, block->v_step});
  }
}

// One chunk of input channels after the other, each of which fetches the
// weights of the next.
void WinogradConv::RunPanel(const Task& task, int64_t panel,
                            const Buffers& buffers, const Block& block) const {
  const int64_t inputs = panels_.inputs(), pitch = panels_.Pitch(panel);
  const float* taps = buffers.packed + panels_.Offset(0, panel);
  for (int64_t first = 0; first < inputs; first += chunk_) {
    const int64_t count = std::min(chunk_, inputs - first);
    kernel_.weights({taps + first * pitch, inputs * pitch, count * pitch,
                     block.u, block.u_step});
    Streams streams = Ahead(task, panel, first + chunk_, buffers.packed, block);
    Multiply(taps + first * pitch, panel, first, count, block, &streams);
  }
  WriteOutput(panel, buffers, block);
}

// What to fetch before the weights of `panel` for channels from `first` on are
// needed.
WinogradConv::Streams WinogradConv::Ahead(const Task& task, int64_t panel,
                                          int64_t first, const float* packed,
                                          const Block& block) const {
  const int64_t inputs = panels_.inputs();
  const int64_t portions =
      kPositions * block.Calls(products_) *
      CeilDiv(std::min(chunk_, inputs), kIgemmPrefetchSteps);
  if (first >= inputs) first = 0, ++panel;
  if (panel == task.end_panel) {
    const int64_t count = task.next_x_floats > 0 ? 2 : 1;
    return {
        count,
        {PrefetchStream(task.next.packed, task.next.size, portions / count),
         PrefetchStream(task.next_x, task.next_x_floats, portions / count)}};
  }
  const int64_t pitch = panels_.Pitch(panel);
  return {1,
          {PrefetchStream(packed + panels_.Offset(0, panel) + first * pitch,
                          std::min(chunk_, inputs - first) * pitch, portions,
                          kTaps, inputs * pitch),
           PrefetchStream()}};
}

// Where the transformed weights of a position are. Those of the corners are the
// weights of the kernel's corners.
const float* WinogradConv::WeightsAt(int64_t position, const float* taps,
                                     int64_t pitch, const Block& block) const {
  const int64_t row = position / 4, column = position % 4;
  if (row % 3 == 0 && column % 3 == 0) {
    return taps + (row * 2 + column / 3 * 2) * panels_.inputs() * pitch;
  }
  return block.u + position * block.u_step;
}

// Adds the products of `count` channels from `first` on to the sums.
void WinogradConv::Multiply(const float* taps, int64_t panel, int64_t first,
                            int64_t count, const Block& block,
                            Streams* streams) const {
  const TapRun run = {first, 0, count};
  IgemmTile call;
  call.runs = &run;
  call.num_runs = 1;
  call.width = panels_.Pitch(panel);
  call.next_places = nullptr;
  for (int64_t position = 0; position < kPositions; ++position) {
    call.x = block.v + position * block.v_step;
    call.weights = WeightsAt(position, taps, call.width, block);
    call.y = block.m + position * block.m_step;
    call.epilogue.residual = first > 0 ? call.y : nullptr;
    MultiplyTiles(call, block, &streams->stream[position % streams->count]);
  }
}

void WinogradConv::MultiplyTiles(IgemmTile call, const Block& block,
                                 PrefetchStream* stream) const {
  const int64_t calls = block.Calls(products_);
  const int64_t small = block.tiles / calls, large = block.tiles % calls;
  const IgemmTileFunction* functions =
      products_.tiles + call.width / products_.vector - 1;
  int64_t x_places[kMostRows], y_places[kMostRows];
  call.x_places = x_places;
  call.y_places = y_places;
  int64_t tile = 0;
  for (int64_t i = 0; i < calls; ++i) {
    const int64_t rows = small + (i < large);
    for (int64_t r = 0; r < rows; ++r, ++tile) {
      x_places[r] = tile * block.pitch;
      y_places[r] = tile * call.width;
    }
    stream->Feed(CeilDiv(call.runs->length, kIgemmPrefetchSteps), &call);
    functions[(rows - 1) * products_.vectors](call);
  }
}

void WinogradConv::WriteOutput(int64_t panel, const Buffers& buffers,
                               const Block& block) const {
  const int64_t channel = panels_.First(panel);
  ConvEpilogue epilogue = buffers.epilogue;
  if (epilogue.scale) epilogue.scale += channel;
  if (epilogue.shift) epilogue.shift += channel;
  if (epilogue.residual) epilogue.residual += channel;
  kernel_.output({block.m, block.m_step, panels_.Pitch(panel), block.tiles,
                  panels_.Width(panel), epilogue, buffers.y + channel,
                  block.y_places});
}

const WinogradKernel* KernelOf(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return WinogradKernelAvx512();
    case Isa::kAvx2:
      return WinogradKernelAvx2();
    case Isa::kGeneric:
      break;
  }
  return WinogradKernelGeneric();
}

std::unique_ptr<WinogradConv> Make(const ConvShape& shape, Isa isa) {
  const WinogradKernel* kernel = KernelOf(isa);
  if (kernel == nullptr || !WinogradGrid::CanDo(shape)) return nullptr;
  if (shape.channels > kMaxChannels) return nullptr;
  const IgemmKernel& products = IgemmKernelFor(shape.num_output, isa);
  return std::unique_ptr<WinogradConv>(
      new WinogradConv(shape, products, *kernel));
}

}  // namespace

std::unique_ptr<Conv> CreateConvWinograd(const ConvShape& shape, Isa isa) {
  std::unique_ptr<WinogradConv> conv = Make(shape, isa);
  return conv && conv->Pays() ? std::move(conv) : nullptr;
}

std::unique_ptr<Conv> CreateConvWinogradAnyway(const ConvShape& shape,
                                               Isa isa) {
  return Make(shape, isa);
}

}  // namespace p3d
