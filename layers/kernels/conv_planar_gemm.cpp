#include <algorithm>
#include <string>

#include "kernels/conv_igemm.hpp"
#include "kernels/conv_planar.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"
#include "kernels/tap_matrix.hpp"
#include "kernels/thread_pool.hpp"

// The micro-kernels of conv_igemm.hpp with the roles swapped: what they
// broadcast are the weights, read where they lie; what they have in vectors are
// neighbouring pixels of a plane. Only pixels are packed: a panel of the tap
// matrix, as wide as a tile, is gathered shortly before it is used.

namespace p3d {
namespace {

// Rows of a panel that stay in L1 while the weights run over them.
const int64_t kDepth = 256;
// Rows of weights that stay in L2 while the panels run over them.
const int64_t kRowBlock = 128;
// Floats of packed panels that a task keeps in L2.
const int64_t kPackedFloats = 96 << 10;
// Rows of the tap matrix whose weights' gradients are computed together.
const int64_t kGradientRows = 128;
// Columns of the tap matrix of the data's gradient that are scattered together.
const int64_t kScatterColumns = 512;
// So many tasks for each thread leave none waiting for long.
const int64_t kTasksPerThread = 4;
// Sums over few rows and columns are cut into so many slices over the pixels.
const int64_t kSlices = 16;
const int64_t kSliceFloats = 4 << 20;
// What would need larger tables is left to the plain loops.
const int64_t kMaxTaps = 1 << 20;
const int64_t kMaxRowPlaces = 1 << 26;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// y[r * y_pitch + j] (+)= sum over d of a[r * a_pitch + d] * panel[d][j]
struct Product {
  const float* a;
  int64_t a_pitch;
  int64_t rows;
  const float* panel;
  int64_t width;
  int64_t depth;
  float* y;
  int64_t y_pitch;
  bool add;
};

// The convolution that takes gradients of y to those of x.
ConvShape Mirrored(const ConvShape& shape) {
  ConvShape mirrored = shape;
  std::swap(mirrored.channels, mirrored.num_output);
  for (size_t i = 0; i < shape.axes.size(); ++i) {
    const ConvAxis& from = shape.axes[i];
    ConvAxis& axis = mirrored.axes[i];
    const int64_t reach = from.dilation * (from.kernel - 1);
    axis.in = from.out();
    axis.pad_begin = reach - from.pad_begin;
    axis.pad_end = reach - from.pad_end;
  }
  return mirrored;
}

// Whether Mirrored(shape) is a convolution: no strides, no needless padding.
bool CanMirror(const ConvShape& shape) {
  for (const ConvAxis& axis : shape.axes) {
    const int64_t reach = axis.dilation * (axis.kernel - 1);
    if (axis.stride != 1 || axis.pad_begin > reach || axis.pad_end > reach) {
      return false;
    }
  }
  return true;
}

class PlanarGemm : public PlanarConv<float> {
 public:
  PlanarGemm(const ConvShape& shape, Isa isa);

  const char* name() const override { return name_.c_str(); }
  void Forward(const float* x, const float* weights, const float* bias,
               float* y) const override;
  void BackwardData(const float* dy, const float* weights,
                    float* dx) const override;
  void BackwardWeights(const float* dy, const float* x,
                       float* dw) const override;

 private:
  // Rows [first, end) of a group's weights, panels [first, end) of its pixels.
  struct Range {
    int64_t first, end;
  };
  // What belongs to image n and group g, `index` counting both.
  const float* InputOf(const float* x, int64_t index) const {
    return x + index * inputs_ * plane_in_;
  }
  template <typename Float>
  Float* OutputOf(Float* y, int64_t index) const {
    return y + index * outputs_ * plane_out_;
  }
  const float* WeightsOf(const float* weights, int64_t index) const {
    return weights + index % group_ * outputs_ * depth_;
  }

  int64_t PanelColumns(int64_t panel) const {
    return std::min(width_, plane_out_ - panel * width_);
  }
  int64_t Pitch(int64_t columns) const {
    return CeilDiv(columns, kernel_.vector) * kernel_.vector;
  }
  void Multiply(const Product& product) const;
  void PackPanel(const float* planes, int64_t panel, const Range& depth,
                 float* packed) const;
  void MultiplyPanels(const float* weights, const float* bias,
                      const Range& rows, const Range& panels,
                      const float* packed, float* y) const;
  void ForwardByPanels(const float* x, const float* weights, const float* bias,
                       int64_t chunk, float* y) const;
  void ForwardByRows(const float* planes, const float* weights,
                     const float* bias, float* y) const;
  void MirrorWeights(const float* weights, float* mirrored) const;
  void ScatterChannels(const float* dy, const float* weights,
                       const Range& channels, float* planes) const;
  struct Slice {
    int64_t group;
    int64_t row;         // first of kGradientRows rows of the tap matrix
    Range outputs;       // of the group
    Range pixel_blocks;  // counted through the images
  };
  void AddSlice(const float* dy, const float* x, const Slice& slice,
                float* dw) const;

  const ConvShape shape_;
  const Isa isa_;
  const IgemmKernel& kernel_;
  const std::string name_;
  const TapMatrix matrix_;
  const int64_t num_, group_, inputs_, outputs_;  // the last two: of a group
  const int64_t taps_, depth_;                    // depth: inputs * taps
  const int64_t plane_in_, plane_out_;
  const int64_t width_;         // columns of a panel
  const int64_t panels_;        // of one image
  const TapMatrix out_planes_;  // y as a matrix
};

// y's planes, seen as the input of a pointwise convolution.
ConvShape PointwiseOnOutput(const ConvShape& shape) {
  ConvShape pointwise = shape;
  pointwise.channels = shape.num_output;
  ConvAxis axis;
  axis.in = shape.out_pixels();
  pointwise.axes.assign(1, axis);
  return pointwise;
}

// "conv_f32_igemm_6x64_avx512" -> "planar_f32_6x64_avx512"
std::string PlanarName(const std::string& igemm) {
  return "planar_f32_" + igemm.substr(std::string("conv_f32_igemm_").size());
}

// The widest tile, unless a narrower one leaves fewer lanes without a pixel.
const IgemmKernel& ChooseKernel(Isa isa, int64_t pixels) {
  const IgemmKernel* const* kernel = IgemmKernels(isa) + 1;  // 0: depthwise
  const IgemmKernel* best = *kernel;
  for (; *kernel; ++kernel) best = *kernel;
  (void)pixels;
  return *best;
}

PlanarGemm::PlanarGemm(const ConvShape& shape, Isa isa)
    : shape_(shape),
      isa_(isa),
      kernel_(ChooseKernel(isa, shape.out_pixels())),
      name_(PlanarName(kernel_.name)),
      matrix_(shape),
      num_(shape.num),
      group_(shape.group),
      inputs_(shape.channels / shape.group),
      outputs_(shape.num_output / shape.group),
      taps_(shape.taps()),
      depth_(inputs_ * taps_),
      plane_in_(shape.in_pixels()),
      plane_out_(shape.out_pixels()),
      width_(kernel_.vectors * kernel_.vector),
      panels_(CeilDiv(plane_out_, width_)),
      out_planes_(PointwiseOnOutput(shape)) {}

void PlanarGemm::Multiply(const Product& p) const {
  constexpr int kMostRows = 16;
  const TapRun run = {0, 0, p.depth};
  int64_t places[2][kMostRows], y_places[kMostRows];
  IgemmTile tile;
  tile.x = p.a;
  tile.runs = &run;
  tile.num_runs = 1;
  tile.weights = p.panel;
  tile.width = p.width;
  tile.epilogue.residual = p.add ? p.y : nullptr;
  tile.y = p.y;
  tile.y_places = y_places;
  tile.prefetch = nullptr;
  tile.prefetch_lines = 0;
  const int64_t tiles = CeilDiv(p.rows, kernel_.rows);
  const int64_t small = p.rows / tiles, large = p.rows % tiles;
  const IgemmTileFunction* functions =
      kernel_.tiles + CeilDiv(p.width, kernel_.vector) - 1;
  int64_t row = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t rows = small + (i < large);
    int64_t* here = places[i % 2];
    int64_t* ahead = places[(i + 1) % 2];
    for (int64_t r = 0; r < rows; ++r) {
      here[r] = (row + r) * p.a_pitch;
      ahead[r] = std::min(row + rows + r, p.rows - 1) * p.a_pitch;
      y_places[r] = (row + r) * p.y_pitch;
    }
    tile.x_places = here;
    tile.next_places = i + 1 < tiles ? ahead : nullptr;
    functions[(rows - 1) * kernel_.vectors](tile);
    row += rows;
  }
}

// Rows [depth.first, depth.end) of a panel.
void PlanarGemm::PackPanel(const float* planes, int64_t panel,
                           const Range& depth, float* packed) const {
  const int64_t columns = PanelColumns(panel);
  const MatrixBlock block = {depth.first, depth.end - depth.first,
                             panel * width_, columns};
  matrix_.Gather(planes, block, Pitch(columns), packed);
}

// packed: the panels in order, each with all rows. y: of the image and group.
void PlanarGemm::MultiplyPanels(const float* weights, const float* bias,
                                const Range& rows, const Range& panels,
                                const float* packed, float* y) const {
  const int64_t column = panels.first * width_;
  if (bias) {
    const int64_t end = std::min(panels.end * width_, plane_out_);
    for (int64_t r = rows.first; r < rows.end; ++r) {
      std::fill(y + r * plane_out_ + column, y + r * plane_out_ + end, bias[r]);
    }
  }
  for (int64_t d = 0; d < depth_; d += kDepth) {
    for (int64_t r = rows.first; r < rows.end; r += kRowBlock) {
      for (int64_t panel = panels.first; panel < panels.end; ++panel) {
        const int64_t columns = PanelColumns(panel);
        Product product;
        product.a = weights + r * depth_ + d;
        product.a_pitch = depth_;
        product.rows = std::min(kRowBlock, rows.end - r);
        product.panel = packed + (panel - panels.first) * width_ * depth_ +
                        d * Pitch(columns);
        product.width = columns;
        product.depth = std::min(kDepth, depth_ - d);
        product.y = y + r * plane_out_ + panel * width_;
        product.y_pitch = plane_out_;
        product.add = d > 0 || bias != nullptr;
        Multiply(product);
      }
    }
  }
}

// Many pixels: each task packs a few panels for itself and takes all weights.
void PlanarGemm::ForwardByPanels(const float* x, const float* weights,
                                 const float* bias, int64_t chunk,
                                 float* y) const {
  const int64_t chunks = CeilDiv(panels_, chunk);
  ParallelFor(num_ * group_ * chunks, [&](int64_t task) {
    const int64_t index = task / chunks, first = task % chunks * chunk;
    const Range panels = {first, std::min(first + chunk, panels_)};
    const Scratch<float> packed((panels.end - first) * width_ * depth_);
    for (int64_t panel = first; panel < panels.end; ++panel) {
      PackPanel(InputOf(x, index), panel, {0, depth_},
                packed.data() + (panel - first) * width_ * depth_);
    }
    const float* shift = bias ? bias + index % group_ * outputs_ : nullptr;
    MultiplyPanels(WeightsOf(weights, index), shift, {0, outputs_}, panels,
                   packed.data(), OutputOf(y, index));
  });
}

// Few pixels: all panels are packed first, then each task takes some weights.
void PlanarGemm::ForwardByRows(const float* planes, const float* weights,
                               const float* bias, float* y) const {
  const Scratch<float> packed(panels_ * width_ * depth_);
  const int64_t blocks = CeilDiv(depth_, kDepth);
  ParallelFor(panels_ * blocks, [&](int64_t task) {
    const int64_t panel = task / blocks, d = task % blocks * kDepth;
    PackPanel(planes, panel, {d, std::min(d + kDepth, depth_)},
              packed.data() + panel * width_ * depth_ +
                  d * Pitch(PanelColumns(panel)));
  });
  const int64_t tasks = kTasksPerThread * NumThreads();
  const int64_t tiles = CeilDiv(outputs_, kernel_.rows);
  const int64_t rows = CeilDiv(tiles, std::min(tiles, tasks)) * kernel_.rows;
  const int64_t parts = CeilDiv(outputs_, rows);
  const int64_t cuts = std::min(panels_, CeilDiv(tasks, parts));
  const int64_t chunk = CeilDiv(panels_, cuts);
  ParallelFor(parts * CeilDiv(panels_, chunk), [&](int64_t task) {
    const int64_t r = task % parts * rows, first = task / parts * chunk;
    MultiplyPanels(weights, bias, {r, std::min(r + rows, outputs_)},
                   {first, std::min(first + chunk, panels_)},
                   packed.data() + first * width_ * depth_, y);
  });
}

void PlanarGemm::Forward(const float* x, const float* weights,
                         const float* bias, float* y) const {
  const int64_t chunk = std::max<int64_t>(
      1, std::min(panels_, kPackedFloats / (width_ * depth_)));
  const int64_t chunks = CeilDiv(panels_, chunk);
  if (num_ * group_ * chunks >= kTasksPerThread * NumThreads()) {
    return ForwardByPanels(x, weights, bias, chunk, y);
  }
  for (int64_t index = 0; index < num_ * group_; ++index) {
    ForwardByRows(InputOf(x, index), WeightsOf(weights, index),
                  bias ? bias + index % group_ * outputs_ : nullptr,
                  OutputOf(y, index));
  }
}

// Weights of the mirrored convolution: channels swapped, taps reversed.
void PlanarGemm::MirrorWeights(const float* weights, float* mirrored) const {
  ParallelFor(group_ * inputs_, [&](int64_t channel) {
    const int64_t g = channel / inputs_, i = channel % inputs_;
    float* to = mirrored + channel * outputs_ * taps_;
    for (int64_t o = 0; o < outputs_; ++o, to += taps_) {
      const float* from = WeightsOf(weights, g) + o * depth_ + i * taps_;
      std::reverse_copy(from, from + taps_, to);
    }
  });
}

// The data's gradient for some channels of an image's group: the gradients of
// rows of the tap matrix, added up where they came from.
void PlanarGemm::ScatterChannels(const float* dy, const float* weights,
                                 const Range& channels, float* planes) const {
  const int64_t row = channels.first * taps_;
  const int64_t rows = (channels.end - channels.first) * taps_;
  const int64_t most =
      std::min(Pitch(plane_out_), CeilDiv(kScatterColumns, width_) * width_);
  const Scratch<float> turned(rows * outputs_);
  for (int64_t o = 0; o < outputs_; ++o) {
    for (int64_t r = 0; r < rows; ++r) {
      turned.data()[r * outputs_ + o] = weights[o * depth_ + row + r];
    }
  }
  std::fill_n(planes + channels.first * plane_in_,
              (channels.end - channels.first) * plane_in_, 0.f);
  const Scratch<float> packed(outputs_ * width_);
  const Scratch<float> gradients(rows * most);
  for (int64_t column = 0; column < plane_out_; column += most) {
    const int64_t columns = std::min(most, plane_out_ - column);
    for (int64_t j = 0; j < columns; j += width_) {
      const int64_t width = std::min(width_, columns - j);
      out_planes_.Gather(dy, {0, outputs_, column + j, width}, Pitch(width),
                         packed.data());
      for (int64_t o = 0; o < outputs_; o += kDepth) {
        Multiply({turned.data() + o, outputs_, rows,
                  packed.data() + o * Pitch(width), width,
                  std::min(kDepth, outputs_ - o), gradients.data() + j, most,
                  o > 0});
      }
    }
    matrix_.ScatterAdd(gradients.data(), {row, rows, column, columns}, most,
                       planes);
  }
}

void PlanarGemm::BackwardData(const float* dy, const float* weights,
                              float* dx) const {
  if (CanMirror(shape_)) {
    const Scratch<float> mirrored(group_ * outputs_ * depth_);
    MirrorWeights(weights, mirrored.data());
    PlanarGemm(Mirrored(shape_), isa_)
        .Forward(dy, mirrored.data(), nullptr, dx);
    return;
  }
  const int64_t most = std::max<int64_t>(1, kGradientRows / taps_);
  const int64_t parts =
      std::min(inputs_, CeilDiv(kTasksPerThread * NumThreads(), num_ * group_));
  const int64_t chunk = std::min(most, CeilDiv(inputs_, parts));
  const int64_t chunks = CeilDiv(inputs_, chunk);
  ParallelFor(num_ * group_ * chunks, [&](int64_t task) {
    const int64_t index = task / chunks, first = task % chunks * chunk;
    ScatterChannels(OutputOf(dy, index), WeightsOf(weights, index),
                    {first, std::min(first + chunk, inputs_)},
                    dx + index * inputs_ * plane_in_);
  });
}

// to[column][row] of a panel, from rows `pitch` apart.
void Transpose(const float* from, int64_t rows, int64_t columns, int64_t pitch,
               int64_t panel_pitch, float* to) {
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t r = 0; r < rows; ++r) {
      to[j * panel_pitch + r] = from[r * pitch + j];
    }
    std::fill(to + j * panel_pitch + rows, to + (j + 1) * panel_pitch, 0.f);
  }
}

// Adds what a slice's pixels contribute to its rows and outputs.
void PlanarGemm::AddSlice(const float* dy, const float* x, const Slice& slice,
                          float* dw) const {
  const int64_t rows = std::min(kGradientRows, depth_ - slice.row);
  const int64_t blocks = CeilDiv(plane_out_, kDepth);
  // Not a multiple of the page size: rows would get into each other's way.
  const int64_t pitch = kDepth + 16;
  const Scratch<float> gathered(rows * pitch);
  const Scratch<float> panel(kDepth * width_);
  for (int64_t b = slice.pixel_blocks.first; b < slice.pixel_blocks.end; ++b) {
    const int64_t index = b / blocks * group_ + slice.group;
    const int64_t column = b % blocks * kDepth;
    const int64_t columns = std::min(kDepth, plane_out_ - column);
    matrix_.Gather(InputOf(x, index), {slice.row, rows, column, columns}, pitch,
                   gathered.data());
    for (int64_t r = 0; r < rows; r += width_) {
      const int64_t width = std::min(width_, rows - r);
      Transpose(gathered.data() + r * pitch, width, columns, pitch,
                Pitch(width), panel.data());
      const int64_t o = slice.outputs.first;
      Multiply({OutputOf(dy, index) + o * plane_out_ + column, plane_out_,
                slice.outputs.end - o, panel.data(), width, columns,
                dw + (slice.group * outputs_ + o) * depth_ + slice.row + r,
                depth_, true});
    }
  }
}

// Tasks own parts of the weights. Where those are few, the pixels are cut as
// well; how depends on the shape alone, so that sums do not change with the
// number of threads.
void PlanarGemm::BackwardWeights(const float* dy, const float* x,
                                 float* dw) const {
  const int64_t count = group_ * outputs_ * depth_;
  const int64_t chunks = CeilDiv(depth_, kGradientRows);
  const int64_t blocks = num_ * CeilDiv(plane_out_, kDepth);
  const int64_t slices = std::max<int64_t>(
      1, std::min({blocks, kSlices / (group_ * chunks), kSliceFloats / count}));
  const int64_t wanted =
      CeilDiv(kTasksPerThread * NumThreads(), group_ * chunks * slices);
  const int64_t outputs =
      std::max(std::min(outputs_, kGradientRows), CeilDiv(outputs_, wanted));
  const int64_t parts = CeilDiv(outputs_, outputs);
  const Scratch<float> sums(slices > 1 ? slices * count : 0);
  std::fill_n(sums.data(), slices > 1 ? slices * count : 0, 0.f);
  ParallelFor(group_ * chunks * slices * parts, [&](int64_t task) {
    const int64_t part = task % parts, s = task / parts % slices;
    const int64_t chunk = task / (parts * slices);
    Slice slice;
    slice.group = chunk / chunks;
    slice.row = chunk % chunks * kGradientRows;
    slice.outputs = {part * outputs, std::min((part + 1) * outputs, outputs_)};
    slice.pixel_blocks = {s * blocks / slices, (s + 1) * blocks / slices};
    AddSlice(dy, x, slice, slices > 1 ? sums.data() + s * count : dw);
  });
  if (slices == 1) return;
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t s = 0; s < slices; ++s) {
      for (int64_t i = begin; i < end; ++i) dw[i] += sums.data()[s * count + i];
    }
  });
}

}  // namespace

std::unique_ptr<PlanarConv<float>> CreatePlanarGemm(const ConvShape& shape,
                                                    Isa isa) {
  const IgemmKernel* const* kernel = IgemmKernels(isa);
  if (*kernel == nullptr || shape.taps() > kMaxTaps) return nullptr;
  if (shape.taps() / shape.axes.back().kernel *
          (shape.out_pixels() / shape.axes.back().out()) >
      kMaxRowPlaces)
    return nullptr;
  return std::unique_ptr<PlanarConv<float>>(new PlanarGemm(shape, isa));
}

}  // namespace p3d
