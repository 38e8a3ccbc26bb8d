#include "kernels/conv/conv_winograd_loops.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

constexpr int64_t kPositions = kWinogradPositions;
constexpr int64_t kTaps = kWinogradTaps;
constexpr int kMostRows = 12;

// A cache line. So much between what would lie a power of two apart lets
// neighbours share the caches.
constexpr int64_t kLine = kLineFloats;

// The most tiles whose places a task keeps on its stack, and the most words of
// their transformed inputs and of a panel's transformed weights: few enough for
// the caches behind L1, enough for long sums and for many tiles per weight.
const int64_t kBlockTiles = 512;
const double kInputWords = 320 << 10;
const int64_t kWeightWords = 256 << 10;
// Fewer tiles than this would not repay their weights' transform. With more
// inputs than that, so many would take more memory than anyone expects.
const double kLeastTiles = 48;
const int64_t kMaxInputs = 1 << 13;

// Costs in multiplications of words: of transforming an input channel and a
// weight to all positions, of an output's sums back, of a micro-kernel's call
// per output channel, and of a task.
const double kInputCost = 100, kWeightCost = 90, kOutputCost = 90;
const double kCallCost = 30, kTaskCost = 200e3;

// As much of the next convolution's weights is fetched for each thread.
const int64_t kNextWords = 64 << 10;

// Inputs cut into as similar numbers as possible, whole prefetch steps.
int64_t ChunkOf(int64_t inputs, int64_t pitch) {
  const int64_t steps = CeilDiv(inputs, kIgemmPrefetchSteps);
  const int64_t most = std::max<int64_t>(
      1, kWeightWords / (kPositions * pitch * kIgemmPrefetchSteps));
  return CeilDiv(steps, CeilDiv(steps, most)) * kIgemmPrefetchSteps;
}

}  // namespace

template <typename Value>
std::unique_ptr<const WinogradLoops<Value>> WinogradLoops<Value>::Create(
    const ConvShape& shape, const WeightPanels& panels,
    const IgemmKernel& products, const WinogradKernelOf<Value>& kernel) {
  if (!WinogradGrid::CanDo(shape) || panels.inputs() > kMaxInputs) {
    return nullptr;
  }
  return std::unique_ptr<const WinogradLoops>(
      new WinogradLoops(shape, panels, products, kernel));
}

// Weights that are there need no memory, and so no cutting.
template <typename Value>
WinogradLoops<Value>::WinogradLoops(const ConvShape& shape,
                                    const WeightPanels& panels,
                                    const IgemmKernel& products,
                                    const WinogradKernelOf<Value>& kernel)
    : channels_(shape.channels),
      panels_(panels),
      products_(products),
      kernel_(kernel),
      grid_(shape),
      chunk_(kernel.weights ? ChunkOf(panels.inputs(), panels.Pitch(0))
                            : panels.inputs()) {}

template <typename Value>
struct WinogradLoops<Value>::Block {
  Block(const WinogradLoops& conv, const Task& task)
      : tiles(task.tiles),
        pitch(RoundUp(conv.panels_.inputs(), kLine)),
        v_step(tiles * pitch + kLine),
        u_step(conv.kernel_.weights
                   ? conv.chunk_ * conv.panels_.Pitch(task.first_panel) + kLine
                   : 0),
        m_step(tiles * conv.panels_.Pitch(task.first_panel) + kLine),
        memory(pitch + kPositions * (v_step + u_step + m_step)),
        zeros(memory.data()),
        v(memory.data() + pitch),
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

template <typename Value>
void WinogradLoops<Value>::Run(const Value* x, const float* packed,
                               const Epilogue<Value>& epilogue, Value* y,
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
    const Task task = {
        tile_of(here),
        tile_of(here + 1) - tile_of(here),
        panel,
        std::min(panel + split.panels, panels_.panels()),
        ShareOf(next, kNextWords, index, blocks * parts),
        reinterpret_cast<const float*>(x + next_x),
        (grid_.FirstInput(tile_of(then + 1)) - next_x) / kPerWord<Value>};
    RunTask(task, buffers);
  });
}

template <typename Value>
int64_t WinogradLoops<Value>::MostTiles() const {
  const double room = kInputWords / (kPositions * panels_.inputs());
  return static_cast<int64_t>(std::min(
      {std::max(kLeastTiles, room), 1. * kBlockTiles, 1. * grid_.tiles()}));
}

// Of a task, in multiplications.
template <typename Value>
double WinogradLoops<Value>::Cost(const Split& split) const {
  const double inputs = panels_.inputs(), tiles = split.tiles;
  const double outputs = std::min(split.panels * panels_.Pitch(0),
                                  RoundUp(panels_.outputs(), products_.vector));
  const double calls = std::ceil(tiles / products_.rows) *
                       std::ceil(inputs / chunk_) * kPositions;
  const double weight_cost = kernel_.weights ? kWeightCost : 0;
  return tiles * (inputs * kPositions * outputs + channels_ * kInputCost) +
         outputs * (inputs * weight_cost + tiles * kOutputCost) +
         calls * outputs * kCallCost + kTaskCost;
}

// Of some numbers of blocks, also such that give all threads equally many, the
// one with the smallest time of the busiest thread.
template <typename Value>
typename WinogradLoops<Value>::Split WinogradLoops<Value>::ChooseSplit() const {
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

template <typename Value>
bool WinogradLoops<Value>::Pays() const {
  const int64_t blocks = CeilDiv(grid_.tiles(), MostTiles());
  const Split split{CeilDiv(grid_.tiles(), blocks), panels_.panels()};
  const double outputs = RoundUp(panels_.outputs(), products_.vector);
  const double direct = grid_.seen() * panels_.inputs() * outputs;
  return blocks * Cost(split) < direct;
}

// A direct convolution leaves out the padding.
template <typename Value>
bool WinogradLoops<Value>::PaysInside() const {
  constexpr double kOutputs = 4, kInside = .85;
  const double products = 1. * panels_.inputs() * panels_.outputs();
  return kPositions * products + kInputCost * channels_ +
             kOutputCost * panels_.outputs() <
         kOutputs * kTaps * products * kInside;
}

template <typename Value>
void WinogradLoops<Value>::RunTask(const Task& task,
                                   const Buffers& buffers) const {
  Block block(*this, task);
  ReadInput(task, buffers.x, &block);
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    RunPanel(task, panel, buffers, block);
  }
}

template <typename Value>
void WinogradLoops<Value>::ReadInput(const Task& task, const Value* x,
                                     Block* block) const {
  std::memset(block->zeros, 0, block->pitch * sizeof(float));
  const Value* const zeros = reinterpret_cast<const Value*>(block->zeros);
  WinogradGrid::Tile tile = grid_.At(task.first_tile);
  for (int64_t i = 0; i < task.tiles; ++i, grid_.Next(&tile)) {
    const Value* pixels[kPositions];
    grid_.LocateInputs(tile, x, zeros, pixels);
    grid_.LocateOutputs(tile, block->y_places + 4 * i);
    kernel_.input({pixels, channels_,
                   reinterpret_cast<Value*>(block->v + i * block->pitch),
                   block->v_step * kPerWord<Value>});
  }
}

// One chunk of input channels after the other, each of which fetches the
// weights of the next.
template <typename Value>
void WinogradLoops<Value>::RunPanel(const Task& task, int64_t panel,
                                    const Buffers& buffers,
                                    const Block& block) const {
  const int64_t inputs = panels_.inputs(), pitch = panels_.Pitch(panel);
  const float* taps = buffers.packed + panels_.Offset(0, panel);
  for (int64_t first = 0; first < inputs; first += chunk_) {
    const int64_t count = std::min(chunk_, inputs - first);
    if (kernel_.weights) {
      kernel_.weights({taps + first * pitch, inputs * pitch, count * pitch,
                       block.u, block.u_step});
    }
    Streams streams = Ahead(task, panel, first + chunk_, buffers.packed, block);
    Multiply(taps + first * pitch, panel, first, count, block, &streams);
  }
  WriteOutput(panel, buffers, block);
}

// What to fetch before the weights of `panel` for channels from `first` on are
// needed.
template <typename Value>
typename WinogradLoops<Value>::Streams WinogradLoops<Value>::Ahead(
    const Task& task, int64_t panel, int64_t first, const float* packed,
    const Block& block) const {
  const int64_t inputs = panels_.inputs();
  const int64_t portions = kPositions * block.Calls(products_) *
                           (std::min(chunk_, inputs) / kIgemmPrefetchSteps);
  if (first >= inputs) first = 0, ++panel;
  if (panel == task.end_panel) {
    const int64_t count = task.next_x_words > 0 ? 2 : 1;
    return {count,
            {PrefetchStream(task.next.packed, task.next.size, portions / count),
             PrefetchStream(task.next_x, task.next_x_words, portions / count)}};
  }
  const int64_t pitch = panels_.Pitch(panel);
  return {1,
          {PrefetchStream(packed + panels_.Offset(0, panel) + first * pitch,
                          std::min(chunk_, inputs - first) * pitch, portions,
                          kernel_.weights ? kTaps : kPositions, inputs * pitch),
           PrefetchStream()}};
}

// Where the transformed weights of a position are: packed, or those of this
// block. Of the latter the corners are the weights of the kernel's corners.
template <typename Value>
const float* WinogradLoops<Value>::WeightsAt(int64_t position,
                                             const float* taps, int64_t pitch,
                                             const Block& block) const {
  if (!kernel_.weights) return taps + position * panels_.inputs() * pitch;
  const int64_t row = position / 4, column = position % 4;
  if (row % 3 == 0 && column % 3 == 0) {
    return taps + (row * 2 + column / 3 * 2) * panels_.inputs() * pitch;
  }
  return block.u + position * block.u_step;
}

// Adds the products of `count` channels from `first` on to the sums.
template <typename Value>
void WinogradLoops<Value>::Multiply(const float* taps, int64_t panel,
                                    int64_t first, int64_t count,
                                    const Block& block,
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

template <typename Value>
void WinogradLoops<Value>::MultiplyTiles(IgemmTile call, const Block& block,
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
    stream->Feed(call.runs->length / kIgemmPrefetchSteps, &call);
    functions[(rows - 1) * products_.vectors](call);
  }
}

template <typename Value>
void WinogradLoops<Value>::WriteOutput(int64_t panel, const Buffers& buffers,
                                       const Block& block) const {
  const int64_t channel = panels_.First(panel);
  Epilogue<Value> epilogue = buffers.epilogue;
  if (epilogue.scale) epilogue.scale += channel;
  if (epilogue.shift) epilogue.shift += channel;
  if (epilogue.residual) epilogue.residual += channel;
  kernel_.output({block.m, block.m_step, panels_.Pitch(panel), block.tiles,
                  panels_.Width(panel), epilogue, buffers.y + channel,
                  block.y_places});
}

template class WinogradLoops<float>;
template class WinogradLoops<Bf16>;

}  // namespace p3d
