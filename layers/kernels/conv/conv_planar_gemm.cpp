#include "kernels/conv/conv_planar_gemm.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/conv/panel_product.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// Rows of weights that stay in L1 while the panels run over them, so that y is
// written in long pieces: whole tiles.
const int64_t kRowBlock = 12;
// Lines of one set that every L1 can hold.
const int kL1Ways = 8;
// Columns of panels that a task packs at a time: with kPanelDepth rows they
// stay in L2.
const int64_t kPackedColumns = 192;
// What would need larger tables is left to the plain loops.
const int64_t kMaxTaps = 1 << 20;
const int64_t kMaxRowPlaces = 1 << 26;

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

// The narrowest tile: a plane often has few pixels, and the last panel's empty
// lanes are computed as well.
const IgemmKernel& ChooseKernel(Isa isa) {
  const IgemmKernel* const* kernel = IgemmKernels(isa) + 1;  // 0: depthwise
  while (kernel[1]) ++kernel;
  return **kernel;
}

}  // namespace

PlanarGemm::PlanarGemm(const ConvShape& shape, Isa isa)
    : shape_(shape),
      isa_(isa),
      kernel_(ChooseKernel(isa)),
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

// Rows [depth.first, depth.end) of some panels; they become `rows` deep.
void PlanarGemm::PackPanels(const float* planes, const Range& panels,
                            const Range& depth, float* packed) const {
  const int64_t rows = depth.end - depth.first;
  const int64_t first = panels.first * width_;
  const int64_t end = std::min(panels.end * width_, plane_out_);
  const int64_t whole = (end - first) / width_ * width_;
  if (whole > 0) {
    matrix_.Gather(planes, {depth.first, rows, first, whole}, width_, packed);
  }
  if (first + whole < end) {
    const int64_t columns = end - first - whole;
    matrix_.Gather(planes, {depth.first, rows, first + whole, columns},
                   Pitch(columns), packed + whole * rows);
  }
}

// y (+)= rows [depth.first, depth.end) of the panels with their weights. y and
// weights: of the image and group.
void PlanarGemm::MultiplyPanels(const float* weights, const Range& rows,
                                const Range& panels, const Range& depth,
                                const float* packed, bool add, float* y) const {
  // Rows of weights that lie whole pages apart share a set of L1; where a tile
  // has too many of them they are copied first.
  const bool copied = kernel_.rows > kL1Ways && depth_ % 1024 == 0 &&
                      panels.end - panels.first > 1;
  const int64_t pitch = kPanelDepth + 16;
  const Scratch<float> block(copied ? kRowBlock * pitch : 0);
  PanelProduct product;
  product.depth = depth.end - depth.first;
  product.y_pitch = plane_out_;
  product.add = add;
  for (int64_t r = rows.first; r < rows.end; r += kRowBlock) {
    product.rows = std::min(kRowBlock, rows.end - r);
    product.a = weights + r * depth_ + depth.first;
    product.a_pitch = depth_;
    if (copied) {
      for (int64_t i = 0; i < product.rows; ++i) {
        std::memcpy(block.data() + i * pitch, product.a + i * depth_,
                    product.depth * sizeof(float));
      }
      product.a = block.data();
      product.a_pitch = pitch;
    }
    for (int64_t panel = panels.first; panel < panels.end; ++panel) {
      product.panel = packed + (panel - panels.first) * width_ * product.depth;
      product.width = PanelColumns(panel);
      product.y = y + r * plane_out_ + panel * width_;
      Multiply(kernel_, product);
    }
  }
}

// Every y of the rows and panels is its channel's bias.
void PlanarGemm::FillBias(const float* bias, const Range& rows,
                          const Range& panels, float* y) const {
  const int64_t first = panels.first * width_;
  const int64_t end = std::min(panels.end * width_, plane_out_);
  for (int64_t r = rows.first; r < rows.end; ++r) {
    std::fill(y + r * plane_out_ + first, y + r * plane_out_ + end, bias[r]);
  }
}

// Many pixels: each task packs a few panels for itself and takes all weights.
void PlanarGemm::ForwardByPanels(const float* x, const float* weights,
                                 const float* bias, float* y) const {
  const int64_t most = std::max<int64_t>(1, kPackedColumns / width_);
  const int64_t images = num_ * group_;
  const int64_t wanted = CeilDiv(kTasksPerThread * NumThreads(), images);
  const int64_t chunks =
      std::max(CeilDiv(panels_, most), std::min(panels_, wanted));
  ParallelFor(images * chunks, [&](int64_t task) {
    const int64_t index = task / chunks, chunk = task % chunks;
    const Range panels = {chunk * panels_ / chunks,
                          (chunk + 1) * panels_ / chunks};
    const Range rows = {0, outputs_};
    float* out = OutputOf(y, index);
    const Scratch<float> packed(most * width_ * kPanelDepth);
    if (bias) FillBias(bias + index % group_ * outputs_, rows, panels, out);
    for (int64_t d = 0; d < depth_; d += kPanelDepth) {
      const Range depth = {d, std::min(d + kPanelDepth, depth_)};
      PackPanels(InputOf(x, index), panels, depth, packed.data());
      MultiplyPanels(WeightsOf(weights, index), rows, panels, depth,
                     packed.data(), d > 0 || bias, out);
    }
  });
}

// Few pixels: all panels are packed first, then each task takes some weights.
void PlanarGemm::ForwardByRows(const float* planes, const float* weights,
                               const float* bias, float* y) const {
  const Scratch<float> packed(panels_ * width_ * depth_);
  const int64_t blocks = CeilDiv(depth_, kPanelDepth);
  const Range panels = {0, panels_};
  const auto at = [&](int64_t d) {
    return packed.data() + d * panels_ * width_;
  };
  ParallelFor(blocks, [&](int64_t block) {
    const int64_t d = block * kPanelDepth;
    PackPanels(planes, panels, {d, std::min(d + kPanelDepth, depth_)}, at(d));
  });
  const int64_t tiles = CeilDiv(outputs_, kernel_.rows);
  const int64_t parts = std::min(tiles, kTasksPerThread * NumThreads());
  ParallelFor(parts, [&](int64_t part) {
    const Range rows = {
        part * tiles / parts * kernel_.rows,
        std::min((part + 1) * tiles / parts * kernel_.rows, outputs_)};
    if (bias) FillBias(bias, rows, panels, y);
    for (int64_t d = 0; d < depth_; d += kPanelDepth) {
      MultiplyPanels(weights, rows, panels,
                     {d, std::min(d + kPanelDepth, depth_)}, at(d),
                     d > 0 || bias, y);
    }
  });
}

void PlanarGemm::Forward(const float* x, const float* weights,
                         const float* bias, float* y) const {
  if (num_ * group_ * panels_ >= 2 * kTasksPerThread * NumThreads()) {
    return ForwardByPanels(x, weights, bias, y);
  }
  for (int64_t index = 0; index < num_ * group_; ++index) {
    ForwardByRows(InputOf(x, index), WeightsOf(weights, index),
                  bias ? bias + index % group_ * outputs_ : nullptr,
                  OutputOf(y, index));
  }
}

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
