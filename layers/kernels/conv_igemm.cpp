#include "kernels/conv_igemm.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "kernels/thread_pool.hpp"

namespace p3d {
namespace {

// The most pixels whose places a task keeps on its stack.
const int64_t kBlockPixels = 512;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

const IgemmKernel* const* Families(Isa isa) {
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

// A range of tiles, cut out of the pixel classes.
struct Tiles {
  struct Tile {
    const PixelClass* box;
    int64_t rows;
  };
  int64_t count = 0;
  Tile tiles[kBlockPixels];
  int64_t x_places[kBlockPixels];
  int64_t y_places[kBlockPixels];
};

class IgemmConv : public Conv {
 public:
  IgemmConv(const ConvShape& shape, const IgemmKernel& kernel)
      : kernel_(kernel),
        depth_(shape.channels / shape.group * shape.taps()),
        inputs_(shape.channels / shape.group),
        outputs_(kernel.depthwise ? shape.num_output
                                  : shape.num_output / shape.group),
        group_(kernel.depthwise ? 1 : shape.group),
        taps_(shape.taps()),
        in_size_(shape.num * shape.in_pixels() * shape.channels / group_),
        panels_(CeilDiv(outputs_, panel())),
        plan_(shape,
              PlanCosts{kernel.rows, kernel.min_rows, panels_ * shape.group}) {
    for (const PixelClass& box : plan_.classes()) {
      first_tiles_.push_back(tiles_);
      tiles_ += CeilDiv(box.pixels, kernel_.rows);
    }
    first_tiles_.push_back(tiles_);
  }

  const char* name() const override { return kernel_.name; }
  int64_t packed_size() const override { return group_ * GroupSize(); }
  uint64_t pack_key() const override;
  void Pack(const float* weights, float* packed) const override;
  void Unpack(const float* packed, float* weights) const override;
  int64_t workspace_size() const override { return plan_.padded_size(); }
  void Run(const float* x, const float* packed, const ConvEpilogue& epilogue,
           float* y, float* workspace) const override;

 private:
  int64_t panel() const { return kernel_.vectors * kernel_.vector; }
  int64_t Width(int64_t index) const {
    return std::min(panel(), outputs_ - index * panel());
  }
  // Whole vectors that hold a panel's channels, in floats.
  int64_t Pitch(int64_t index) const {
    return CeilDiv(Width(index), kernel_.vector) * kernel_.vector;
  }
  int64_t GroupSize() const {
    return depth_ * CeilDiv(outputs_, kernel_.vector) * kernel_.vector;
  }

  template <typename Move>
  void MoveWeights(const Move& move) const;
  struct Split {
    int64_t tiles, panels;  // of a task
  };
  Split ChooseSplit() const;
  void Fill(int64_t first, int64_t end, Tiles* block) const;
  void RunBlock(const Tiles& block, int64_t group, int64_t first, int64_t end,
                const float* x, const float* packed,
                const ConvEpilogue& epilogue, float* y) const;

  const IgemmKernel& kernel_;
  const int64_t depth_;    // weight rows: taps times input channels of a group
  const int64_t inputs_;   // channels of a group
  const int64_t outputs_;  // of a group
  const int64_t group_;
  const int64_t taps_;
  const int64_t in_size_;  // floats of a group's input
  const int64_t panels_;   // of a group
  const ConvPlan plan_;
  int64_t tiles_ = 0;
  std::vector<int64_t> first_tiles_;  // of each class, and behind the last
};

uint64_t IgemmConv::pack_key() const {
  uint64_t key = 14695981039346656037u;
  for (uint64_t part :
       {uint64_t(kernel_.vector), uint64_t(kernel_.vectors), uint64_t(inputs_),
        uint64_t(outputs_), uint64_t(group_), uint64_t(taps_)}) {
    key = (key ^ part) * 1099511628211u;
  }
  return key;
}

// Calls move(weight offset, packed offset, channels, pitch) for every panel and
// input value: `channels` weights, `depth_` apart, to neighbouring places.
template <typename Move>
void IgemmConv::MoveWeights(const Move& move) const {
  ParallelFor(group_ * panels_, [&](int64_t task) {
    const int64_t index = task % panels_, first = index * panel();
    const int64_t group = task / panels_;
    const int64_t from = (group * outputs_ + first) * depth_;
    const int64_t to = group * GroupSize() + first * depth_;
    // Few channels at a time, so that the lines of all outputs stay in L1.
    const int64_t step = 8;
    for (int64_t start = 0; start < inputs_; start += step) {
      for (int64_t tap = 0; tap < taps_; ++tap) {
        for (int64_t c = start; c < std::min(start + step, inputs_); ++c) {
          move(from + c * taps_ + tap, to + (tap * inputs_ + c) * Pitch(index),
               Width(index), Pitch(index));
        }
      }
    }
  });
}

void IgemmConv::Pack(const float* weights, float* packed) const {
  MoveWeights([=](int64_t from, int64_t to, int64_t width, int64_t pitch) {
    for (int64_t j = 0; j < width; ++j) {
      packed[to + j] = weights[from + j * depth_];
    }
    std::fill(packed + to + width, packed + to + pitch, 0.f);
  });
}

void IgemmConv::Unpack(const float* packed, float* weights) const {
  MoveWeights([=](int64_t from, int64_t to, int64_t width, int64_t) {
    for (int64_t j = 0; j < width; ++j) {
      weights[from + j * depth_] = packed[to + j];
    }
  });
}

void IgemmConv::Run(const float* x, const float* packed,
                    const ConvEpilogue& epilogue, float* y,
                    float* workspace) const {
  if (plan_.padded_size() > 0) {
    plan_.PadInput(x, workspace);
    x = workspace;
  }
  const Split split = ChooseSplit();
  const int64_t block = split.tiles, part = split.panels;
  const int64_t blocks = CeilDiv(tiles_, block);
  const int64_t parts = CeilDiv(panels_, part);
  ParallelFor(group_ * blocks * parts, [&](int64_t task) {
    const int64_t group = task / (blocks * parts);
    const int64_t first_panel = task % parts * part;
    const int64_t first_tile = task / parts % blocks * block;
    Tiles tiles;
    Fill(first_tile, std::min(first_tile + block, tiles_), &tiles);
    RunBlock(tiles, group, first_panel, std::min(first_panel + part, panels_),
             x, packed, epilogue, y);
  });
}

// The candidate with the shortest time on the busiest thread, memory traffic
// counted in.
IgemmConv::Split IgemmConv::ChooseSplit() const {
  const double threads = NumThreads();
  const double tile_bytes = 4. * in_size_ / tiles_;
  const double panel_bytes = 4. * depth_ * panel();
  const int64_t most = std::max<int64_t>(
      1, std::min<double>({kBlockPixels / kernel_.rows * 1., tiles_ * 1.,
                           std::max(16., 400e3 / tile_bytes)}));
  Split best{most, panels_};
  double best_cost = 0;
  for (int64_t parts = 1; parts <= panels_; parts *= 2) {
    const int64_t panels = CeilDiv(panels_, parts);
    for (int64_t cuts = 1; cuts <= 16; cuts *= 2) {
      const int64_t tiles = CeilDiv(tiles_, CeilDiv(tiles_, most) * cuts);
      const double blocks = CeilDiv(tiles_, tiles);
      const double tasks = group_ * blocks * CeilDiv(panels_, panels);
      const double work = tiles * panels * (depth_ + 8.);
      const double traffic = tiles * tile_bytes + panels * panel_bytes;
      const double cost =
          std::ceil(tasks / threads) * (work + 50 + traffic / 32);
      if (best_cost == 0 || cost < best_cost) {
        best_cost = cost;
        best = Split{tiles, panels};
      }
    }
  }
  return best;
}

// Tiles of one class have as similar sizes as possible.
void IgemmConv::Fill(int64_t first, int64_t end, Tiles* block) const {
  size_t index =
      std::upper_bound(first_tiles_.begin(), first_tiles_.end(), first) -
      first_tiles_.begin() - 1;
  int64_t pixels = 0;
  while (first < end) {
    const PixelClass& box = plan_.classes()[index];
    const int64_t count = first_tiles_[index + 1] - first_tiles_[index];
    const int64_t small = box.pixels / count, large = box.pixels % count;
    int64_t tile = first - first_tiles_[index];
    const int64_t stop = std::min(end, first_tiles_[index + 1]);
    const int64_t start = tile * small + std::min(tile, large);
    int64_t size = 0;
    for (; first < stop; ++first, ++tile) {
      const int64_t rows = small + (tile < large);
      block->tiles[block->count++] = {&box, rows};
      size += rows;
    }
    plan_.Locate(box, start, size, block->x_places + pixels,
                 block->y_places + pixels);
    pixels += size;
    ++index;
  }
}

void IgemmConv::RunBlock(const Tiles& block, int64_t group, int64_t first,
                         int64_t end, const float* x, const float* packed,
                         const ConvEpilogue& epilogue, float* y) const {
  IgemmTile call;
  for (int64_t index = first; index < end; ++index) {
    const int64_t channel = group * outputs_ + index * panel();
    call.x = x + (kernel_.depthwise ? channel : group * inputs_);
    call.weights = packed + group * GroupSize() + index * panel() * depth_;
    call.width = Width(index);
    call.epilogue = epilogue;
    if (epilogue.scale) call.epilogue.scale += channel;
    if (epilogue.shift) call.epilogue.shift += channel;
    if (epilogue.residual) call.epilogue.residual += channel;
    call.y = y + channel;
    call.x_places = block.x_places;
    call.y_places = block.y_places;
    const int64_t pitch = Pitch(index);
    const IgemmTileFunction* functions =
        kernel_.tiles + pitch / kernel_.vector - 1;
    call.prefetch = nullptr;
    call.prefetch_lines = 0;
    if (index + 1 < end) {
      call.prefetch = call.weights + pitch * depth_;
      call.prefetch_lines = CeilDiv(Pitch(index + 1) * depth_ / 16,
                                    CeilDiv(depth_, 32) * block.count);
    }
    for (int64_t i = 0; i < block.count; ++i) {
      const Tiles::Tile& tile = block.tiles[i];
      call.runs = tile.box->runs.data();
      call.num_runs = tile.box->runs.size();
      functions[(tile.rows - 1) * kernel_.vectors](call);
      call.x_places += tile.rows;
      call.y_places += tile.rows;
      call.prefetch += call.prefetch_lines * CeilDiv(depth_, 32) * 16;
    }
  }
}

}  // namespace

std::unique_ptr<Conv> CreateConvIgemm(const ConvShape& shape, Isa isa) {
  const IgemmKernel* const* family = Families(isa);
  if (*family == nullptr) return nullptr;
  const bool depthwise = shape.group > 1 && shape.group == shape.channels &&
                         shape.group == shape.num_output;
  if (!depthwise) {
    ++family;
    // The narrowest panel that holds all outputs.
    const int64_t outputs = shape.num_output / shape.group;
    while (family[1] && outputs <= family[1]->vectors * family[1]->vector) {
      ++family;
    }
  }
  return std::unique_ptr<Conv>(new IgemmConv(shape, **family));
}

}  // namespace p3d
