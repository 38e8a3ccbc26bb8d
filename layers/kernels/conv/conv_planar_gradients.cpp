#include <algorithm>

#include "kernels/conv/conv_planar_gemm.hpp"
#include "kernels/conv/panel_product.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// Rows of the tap matrix whose weights' gradients are computed together.
const int64_t kGradientRows = 128;
// Columns of the tap matrix of the data's gradient that are scattered together.
const int64_t kScatterColumns = 512;
// Sums over few rows and columns are cut into so many slices over the pixels.
const int64_t kSlices = 16;
const int64_t kSliceFloats = 4 << 20;

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

}  // namespace

// Weights of the mirrored convolution: channels swapped, taps reversed. Few
// channels at a time, so that cache lines are read once.
void PlanarGemm::MirrorWeights(const float* weights, float* mirrored) const {
  const int64_t chunk = std::max<int64_t>(1, 16 / taps_);
  const int64_t chunks = CeilDiv(inputs_, chunk);
  ParallelFor(group_ * chunks, [&](int64_t task) {
    const int64_t g = task / chunks, first = task % chunks * chunk;
    const int64_t end = std::min(first + chunk, inputs_);
    float* to = mirrored + g * inputs_ * outputs_ * taps_;
    for (int64_t o = 0; o < outputs_; ++o) {
      const float* row = WeightsOf(weights, g) + o * depth_;
      for (int64_t i = first; i < end; ++i) {
        std::reverse_copy(row + i * taps_, row + (i + 1) * taps_,
                          to + (i * outputs_ + o) * taps_);
      }
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
      for (int64_t o = 0; o < outputs_; o += kPanelDepth) {
        Multiply(kernel_, {turned.data() + o, outputs_, rows,
                           packed.data() + o * Pitch(width), width,
                           std::min(kPanelDepth, outputs_ - o),
                           gradients.data() + j, most, o > 0});
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

// Adds what a slice's pixels contribute to its rows and outputs.
void PlanarGemm::AddSlice(const float* dy, const float* x, const Slice& slice,
                          float* dw) const {
  const int64_t rows = std::min(kGradientRows, depth_ - slice.row);
  const int64_t blocks = CeilDiv(plane_out_, kPanelDepth);
  // Not a multiple of the page size: rows would get into each other's way.
  const int64_t pitch = kPanelDepth + 16;
  const Scratch<float> gathered(rows * pitch);
  const Scratch<float> panel(kPanelDepth * width_);
  for (int64_t b = slice.pixel_blocks.first; b < slice.pixel_blocks.end; ++b) {
    const int64_t index = b / blocks * group_ + slice.group;
    const int64_t column = b % blocks * kPanelDepth;
    const int64_t columns = std::min(kPanelDepth, plane_out_ - column);
    matrix_.Gather(InputOf(x, index), {slice.row, rows, column, columns}, pitch,
                   gathered.data());
    for (int64_t r = 0; r < rows; r += width_) {
      const int64_t width = std::min(width_, rows - r);
      Transpose(gathered.data() + r * pitch, width, columns, pitch,
                Pitch(width), panel.data());
      const int64_t o = slice.outputs.first;
      Multiply(kernel_,
               {OutputOf(dy, index) + o * plane_out_ + column, plane_out_,
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
  const int64_t blocks = num_ * CeilDiv(plane_out_, kPanelDepth);
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

}  // namespace p3d
