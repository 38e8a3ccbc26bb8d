#include "kernels/conv_winograd.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/conv_igemm.hpp"
#include "kernels/conv_panels.hpp"
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

// Where the tiles of 2x2 outputs lie. The batch and the axes that the kernel
// does not touch are one each before, between and behind the two that it does.
class TileGrid {
 public:
  explicit TileGrid(const ConvShape& shape);

  // Whether the kernel is 3x3 and the grid stands for all of the axes.
  static bool CanDo(const ConvShape& shape);

  int64_t tiles() const {
    return before_ * between_ * behind_ * Tiles(first_) * Tiles(second_);
  }
  // Multiplications per input and output channel of a direct convolution that
  // leaves out the padding.
  double seen() const {
    return 1. * before_ * between_ * behind_ * Seen(first_) * Seen(second_);
  }

  // A tile's first input (it may be padding) and output along the two axes, and
  // where it is along the others.
  struct Tile {
    int64_t before, row, between, column, behind;
  };
  Tile At(int64_t index) const;
  void Next(Tile* tile) const;
  // A tile's 16 inputs, `zeros` where there is padding, and the places of its
  // four outputs, -1 where there is none.
  void LocateInputs(const Tile& tile, const float* x, const float* zeros,
                    const float** inputs) const;
  void LocateOutputs(const Tile& tile, int64_t* places) const;
  // Where the rows begin that the tiles from `index` on read, index <= tiles().
  int64_t FirstInput(int64_t index) const;

 private:
  static int64_t Tiles(const ConvAxis& axis) { return CeilDiv(axis.out(), 2); }
  static double Seen(const ConvAxis& axis);

  int64_t channels_, num_output_;
  int64_t before_, between_ = 1, behind_ = 1;
  ConvAxis first_, second_;
};

bool TileGrid::CanDo(const ConvShape& shape) {
  int64_t threes = 0;
  for (const ConvAxis& axis : shape.axes) {
    const bool plain = axis.stride == 1 && axis.dilation == 1;
    const bool padded = axis.pad_begin > 0 || axis.pad_end > 0;
    if (!plain) return false;
    if (axis.kernel == 3) {
      ++threes;
    } else if (axis.kernel != 1 || padded) {
      return false;
    }
  }
  return threes == 2 && shape.group == 1 && shape.pad_mode == PadMode::kZero;
}

TileGrid::TileGrid(const ConvShape& shape)
    : channels_(shape.channels),
      num_output_(shape.num_output),
      before_(shape.num) {
  int64_t threes = 0;
  for (const ConvAxis& axis : shape.axes) {
    if (axis.kernel == 3) {
      (threes++ ? second_ : first_) = axis;
    } else {
      (threes == 0 ? before_ : threes == 1 ? between_ : behind_) *= axis.in;
    }
  }
}

// Products along an axis that are not with padding.
double TileGrid::Seen(const ConvAxis& axis) {
  double seen = 0;
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    const int64_t first = std::max<int64_t>(axis.pad_begin - tap, 0);
    const int64_t last = std::min(axis.out(), axis.in + axis.pad_begin - tap);
    seen += std::max<int64_t>(last - first, 0);
  }
  return seen;
}

TileGrid::Tile TileGrid::At(int64_t index) const {
  Tile tile;
  tile.behind = index % behind_;
  index /= behind_;
  tile.column = index % Tiles(second_) * 2;
  index /= Tiles(second_);
  tile.between = index % between_;
  index /= between_;
  tile.row = index % Tiles(first_) * 2;
  tile.before = index / Tiles(first_);
  return tile;
}

void TileGrid::Next(Tile* tile) const {
  if (++tile->behind < behind_) return;
  tile->behind = 0;
  if ((tile->column += 2) < second_.out()) return;
  tile->column = 0;
  if (++tile->between < between_) return;
  tile->between = 0;
  if ((tile->row += 2) < first_.out()) return;
  tile->row = 0;
  ++tile->before;
}

void TileGrid::LocateInputs(const Tile& tile, const float* x,
                            const float* zeros, const float** inputs) const {
  const int64_t step = behind_ * channels_;
  const int64_t pitch = between_ * second_.in * step;
  const int64_t top = tile.row - first_.pad_begin;
  const int64_t left = tile.column - second_.pad_begin;
  const int64_t start = (tile.before * first_.in + top) * pitch +
                        (tile.between * second_.in + left) * step +
                        tile.behind * channels_;
  for (int64_t i = 0; i < 4; ++i) {
    const bool row = top + i >= 0 && top + i < first_.in;
    for (int64_t j = 0; j < 4; ++j) {
      const bool inside = row && left + j >= 0 && left + j < second_.in;
      *inputs++ = inside ? x + start + i * pitch + j * step : zeros;
    }
  }
}

void TileGrid::LocateOutputs(const Tile& tile, int64_t* places) const {
  const int64_t rows = first_.out(), columns = second_.out();
  const int64_t step = behind_ * num_output_;
  const int64_t pitch = between_ * columns * step;
  const int64_t start = (tile.before * rows + tile.row) * pitch +
                        (tile.between * columns + tile.column) * step +
                        tile.behind * num_output_;
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      const bool inside = tile.row + i < rows && tile.column + j < columns;
      *places++ = inside ? start + i * pitch + j * step : -1;
    }
  }
}

int64_t TileGrid::FirstInput(int64_t index) const {
  const Tile tile = At(index);
  const int64_t top = std::max<int64_t>(tile.row - first_.pad_begin, 0);
  return (tile.before * first_.in + std::min(top, first_.in)) * between_ *
         second_.in * behind_ * channels_;
}

// Prefetching of stretches of memory, `step` apart, spread over the calls that
// are to come.
class Stream {
 public:
  Stream() = default;
  Stream(const float* data, int64_t floats, int64_t stretches, int64_t step,
         int64_t portions)
      : data_(data),
        floats_(floats),
        stretches_(floats > 0 ? stretches : 0),
        step_(step),
        lines_(CeilDiv(floats * stretches, kLine * portions)) {}

  // Lets `call` fetch its share; it has `portions` of all.
  void Feed(int64_t portions, IgemmTile* call) {
    call->prefetch = data_ + done_;
    call->prefetch_lines = stretches_ > 0 ? lines_ : 0;
    done_ += portions * lines_ * kLine;
    if (stretches_ == 0 || done_ < floats_) return;
    done_ = 0;
    data_ += step_;
    --stretches_;
  }

 private:
  const float* data_ = nullptr;
  int64_t floats_ = 0;
  int64_t stretches_ = 0;
  int64_t step_ = 0;
  int64_t lines_ = 0;  // per portion
  int64_t done_ = 0;
};

class WinogradConv : public Conv {
 public:
  WinogradConv(const ConvShape& shape, const IgemmKernel& products,
               const WinogradKernel& kernel);

  // Whether it would be faster than a direct convolution.
  bool Pays() const;

  const char* name() const override { return kernel_.name; }
  int64_t packed_size() const override { return panels_.size(); }
  uint64_t pack_key() const override { return panels_.key(); }
  void Pack(const float* weights, float* packed) const override {
    panels_.Pack(weights, packed);
  }
  void Unpack(const float* packed, float* weights) const override {
    panels_.Unpack(packed, weights);
  }
  void PackMirrored(const float* weights, const std::vector<int64_t>& taps,
                    int64_t all_taps, float* packed) const override {
    panels_.PackMirrored(weights, taps, all_taps, packed);
  }
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
    Stream stream[2];  // which take turns with the positions
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
  void MultiplyTiles(IgemmTile call, const Block& block, Stream* stream) const;
  void WriteOutput(int64_t panel, const Buffers& buffers,
                   const Block& block) const;
  Streams Ahead(const Task& task, int64_t panel, int64_t first,
                const float* packed, const Block& block) const;

  const IgemmKernel& products_;
  const WinogradKernel& kernel_;
  const WeightPanels panels_;
  const TileGrid grid_;
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
    : products_(products),
      kernel_(kernel),
      panels_(1, shape.channels, shape.num_output, kTaps, products.vector,
              products.vectors),
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

// What the `index`-th of `tasks` tasks fetches of the next weights: every
// thread begins somewhere else in them.
NextWeights ShareOf(const NextWeights& next, int64_t index, int64_t tasks) {
  const int64_t threads = NumThreads();
  const int64_t part = next.size / threads;
  const int64_t tasks_of_part = CeilDiv(tasks, threads);
  const int64_t size = std::min(part, kNextFloats) / tasks_of_part;
  return {
      next.packed + index / tasks_of_part * part + index % tasks_of_part * size,
      size};
}

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
                       ShareOf(next, index, blocks * parts),
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
  TileGrid::Tile tile = grid_.At(task.first_tile);
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
    return {count,
            {Stream(task.next.packed, task.next.size, 1, 0, portions / count),
             Stream(task.next_x, task.next_x_floats, 1, 0, portions / count)}};
  }
  const int64_t pitch = panels_.Pitch(panel);
  return {1,
          {Stream(packed + panels_.Offset(0, panel) + first * pitch,
                  std::min(chunk_, inputs - first) * pitch, kTaps,
                  inputs * pitch, portions),
           Stream()}};
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
                                 Stream* stream) const {
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
  if (kernel == nullptr || !TileGrid::CanDo(shape)) return nullptr;
  if (shape.channels > kMaxChannels) return nullptr;
  // Behind the depthwise family: the narrowest panel that holds all outputs.
  const IgemmKernel* const* products = IgemmKernels(isa) + 1;
  while (products[1] &&
         shape.num_output <= products[1]->vectors * products[1]->vector) {
    ++products;
  }
  return std::unique_ptr<WinogradConv>(
      new WinogradConv(shape, **products, *kernel));
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
