#include "kernels/conv/conv_loops.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/conv/conv_prefetch.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Kernels with more taps, or padding that makes more floats of the input (and
// many times as many), are left to the plain loops: the lists of taps and the
// padded copy would cost more memory than anyone expects.
const int64_t kMaxTaps = 1 << 20;
const int64_t kMaxPadded = 1 << 26;
const int64_t kMaxPaddedGrowth = 8;

}  // namespace

template <typename Value>
constexpr int64_t ConvLoops<Value>::kBlockPixels;

template <typename Value>
bool ConvLoops<Value>::IsAbsurd(const ConvShape& shape) {
  return shape.taps() > kMaxTaps;
}

template <typename Value>
bool ConvLoops<Value>::IsAbsurd() const {
  return workspace_size() > kMaxPadded &&
         workspace_size() / kMaxPaddedGrowth > input_size_;
}

template <typename Value>
ConvLoops<Value>::ConvLoops(const ConvShape& shape, const WeightPanels& panels,
                            const LoopCosts& costs)
    : panels_(panels),
      costs_(costs),
      plan_(shape, costs.plan),
      input_size_(shape.num * shape.in_pixels() * shape.channels) {
  for (const PixelClass& box : plan_.classes()) {
    first_tiles_.push_back(tiles_);
    tiles_ += CeilDiv(box.pixels, costs_.rows);
  }
  first_tiles_.push_back(tiles_);
}

template <typename Value>
void ConvLoops<Value>::Run(const float* x, const float* packed,
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
    const int64_t at = index / parts % blocks;
    const int64_t panel = index % parts * split.panels;
    const Task task = {index / (blocks * parts), panel,
                       std::min(panel + split.panels, panels_.panels()),
                       ShareOf(next, costs_.next_words, index, tasks)};
    Block block;
    Fill(at * tiles_ / blocks, (at + 1) * tiles_ / blocks, &block);
    RunBlock(block, task, buffers);
  });
}

// Few large tasks: each reads its part of the input and of the weights once.
// Many small ones: no thread waits long for the last. The candidate with the
// shortest time on the busiest thread is taken, in steps of a tile; some give
// all threads equally many blocks.
template <typename Value>
typename ConvLoops<Value>::Split ConvLoops<Value>::ChooseSplit() const {
  const double tile_bytes =
      4. * input_size_ / panels_.groups() / static_cast<double>(tiles_);
  const double panel_bytes = 4. * panels_.Size(0);
  const double room =
      std::max(costs_.least_tiles, costs_.block_bytes / tile_bytes);
  const int64_t most = static_cast<int64_t>(
      std::min({room, 1. * kBlockPixels / costs_.rows, 1. * tiles_}));
  const int64_t threads = NumThreads();
  const int64_t least = CeilDiv(tiles_, most);
  Split best{most, panels_.panels()};
  double best_cost = HUGE_VAL;
  for (int64_t parts = 1; parts <= panels_.panels(); parts *= 2) {
    for (int64_t cuts = 1; cuts <= 16; cuts *= 2) {
      for (int64_t blocks : {least * cuts, RoundUp(least * cuts, threads)}) {
        const Split split{CeilDiv(tiles_, blocks),
                          CeilDiv(panels_.panels(), parts)};
        const double tasks = 1. * panels_.groups() *
                             CeilDiv(tiles_, split.tiles) *
                             CeilDiv(panels_.panels(), split.panels);
        const double bytes =
            split.tiles * tile_bytes + split.panels * panel_bytes;
        const double task =
            split.tiles * split.panels * (panels_.depth() + costs_.tile_steps) +
            bytes / costs_.bytes_per_step + costs_.task_steps;
        const double cost = std::ceil(tasks / threads) * task;
        if (cost < best_cost) {
          best_cost = cost;
          best = split;
        }
      }
    }
  }
  return best;
}

// Cuts tiles [first, end) out of the classes.
template <typename Value>
void ConvLoops<Value>::Fill(int64_t first, int64_t end, Block* block) const {
  size_t index =
      std::upper_bound(first_tiles_.begin(), first_tiles_.end(), first) -
      first_tiles_.begin() - 1;
  for (; first < end; ++index) {
    const PixelClass& box = plan_.classes()[index];
    const int64_t count = first_tiles_[index + 1] - first_tiles_[index];
    const int64_t small = box.pixels / count, large = box.pixels % count;
    const auto start_of = [&](int64_t tile) {
      return costs_.whole ? std::min(tile * costs_.rows, box.pixels)
                          : tile * small + std::min(tile, large);
    };
    const int64_t from = block->pixels;
    int64_t tile = first - first_tiles_[index];
    const int64_t start = start_of(tile);
    for (; first < std::min(end, first_tiles_[index + 1]); ++first, ++tile) {
      const int64_t rows = start_of(tile + 1) - start_of(tile);
      block->tile[block->tiles++] = {static_cast<int64_t>(index), block->pixels,
                                     rows};
      block->pixels += rows;
    }
    plan_.Locate(box, start, block->pixels - from, block->x_places + from,
                 block->y_places + from);
  }
}

template <typename Value>
NextWeights ConvLoops<Value>::Next(const Buffers& buffers, const Task& task,
                                   int64_t panel) const {
  if (++panel == task.end_panel) return task.next;
  return {buffers.packed + panels_.Offset(task.group, panel),
          panels_.Size(panel)};
}

template class ConvLoops<float>;
template class ConvLoops<Bf16>;

}  // namespace p3d
