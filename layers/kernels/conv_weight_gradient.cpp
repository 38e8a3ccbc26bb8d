#include "kernels/conv_weight_gradient.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/panel_product.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"
#include "kernels/thread_pool.hpp"

namespace p3d {
namespace {

// Columns and outputs of a task; gathering is repeated for each part of the
// outputs.
const int64_t kColumns = 512;
const int64_t kOutputs = 256;
// Sums of few weights are cut into so many slices, if those are not too large.
const int64_t kSlices = 16;
const int64_t kSliceFloats = 4 << 20;
const int64_t kMaxTaps = 1 << 20;

// The narrowest panels, which have outer products: the last one's empty lanes
// are computed as well.
const IgemmKernel& ChooseKernel(Isa isa) {
  const IgemmKernel* const* kernel = IgemmKernels(isa) + 1;  // 0: depthwise
  while (kernel[1]) ++kernel;
  return **kernel;
}

// Most pieces are whole vectors: no call for each.
void CopyValues(const float* from, int64_t count, float* to) {
  constexpr int64_t kPiece = 16;
  for (; count >= kPiece; count -= kPiece, from += kPiece, to += kPiece) {
    std::memcpy(to, from, kPiece * sizeof(float));
  }
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace

constexpr int64_t ConvWeightGradient::kBlock;

bool ConvWeightGradient::CanDo(const ConvShape& shape) {
  return shape.pad_mode == PadMode::kZero && shape.taps() <= kMaxTaps;
}

ConvWeightGradient::ConvWeightGradient(const ConvShape& shape, Isa isa)
    : shape_(shape),
      kernel_(ChooseKernel(isa)),
      width_(kernel_.vectors * kernel_.vector),
      taps_(shape.taps()),
      inputs_(shape.channels / shape.group),
      outputs_(shape.num_output / shape.group),
      columns_(taps_ * inputs_),
      pixels_(shape.num * shape.out_pixels()) {
  const int64_t parts =
      shape.group * CeilDiv(columns_, kColumns) * CeilDiv(outputs_, kOutputs);
  slices_ =
      std::max<int64_t>(1, std::min({CeilDiv(pixels_, kBlock), kSlices / parts,
                                     kSliceFloats / shape.weight_count()}));
}

void ConvWeightGradient::Locate(int64_t tap, const Range& pixels,
                                Places* result) const {
  result->tap = tap;
  int64_t* places = result->at;
  const size_t last = shape_.axes.size() - 1;
  for (int64_t p = pixels.first; p < pixels.end;) {
    int64_t rest = p, rest_tap = tap, place = 0, stride = shape_.channels;
    int64_t column = 0, start = 0;
    bool inside = true;
    for (size_t i = last + 1; i-- > 0;) {
      const ConvAxis& axis = shape_.axes[i];
      const int64_t out = axis.out();
      const int64_t at = rest % out * axis.stride - axis.pad_begin +
                         rest_tap % axis.kernel * axis.dilation;
      if (i == last) {
        column = rest % out;
        start = at;
      } else {
        inside &= at >= 0 && at < axis.in;
        place += at * stride;
      }
      stride *= axis.in;
      rest /= out;
      rest_tap /= axis.kernel;
    }
    place += rest * stride;
    const ConvAxis& axis = shape_.axes[last];
    const int64_t run = std::min(axis.out() - column, pixels.end - p);
    for (int64_t j = 0; j < run; ++j) {
      const int64_t at = start + j * axis.stride;
      const bool seen = inside && at >= 0 && at < axis.in;
      *places++ = seen ? place + at * shape_.channels : -1;
    }
    p += run;
  }
}

// panel[p][j] = what column j sees at the block's pixel p; `x` begins at the
// group's channels.
void ConvWeightGradient::PackPanel(const float* x, const Range& pixels,
                                   const Range& columns, Places* places,
                                   float* panel) const {
  const int64_t count = pixels.end - pixels.first;
  const int64_t width = columns.end - columns.first;
  const int64_t pitch = CeilDiv(width, kernel_.vector) * kernel_.vector;
  for (int64_t c = columns.first; c < columns.end;) {
    const int64_t tap = c / inputs_, input = c % inputs_;
    const int64_t n = std::min(inputs_ - input, columns.end - c);
    if (places->tap != tap) Locate(tap, pixels, places);
    float* to = panel + c - columns.first;
    for (int64_t p = 0; p < count; ++p, to += pitch) {
      if (places->at[p] < 0) {
        std::fill_n(to, n, 0.f);
      } else {
        CopyValues(x + places->at[p] + input, n, to);
      }
    }
    c += n;
  }
  if (width == pitch) return;
  for (int64_t p = 0; p < count; ++p) {
    std::fill(panel + p * pitch + width, panel + (p + 1) * pitch, 0.f);
  }
}

void ConvWeightGradient::AddUp(const float* dy, const float* x,
                               const Task& task) const {
  const Scratch<float> panel(kBlock * width_);
  const int64_t first = task.group * outputs_ + task.outputs.first;
  for (int64_t b = task.blocks.first; b < task.blocks.end; ++b) {
    const Range pixels = {b * kBlock, std::min((b + 1) * kBlock, pixels_)};
    Places places;
    for (int64_t c = task.columns.first; c < task.columns.end; c += width_) {
      const Range columns = {c, std::min(c + width_, task.columns.end)};
      PackPanel(x + task.group * inputs_, pixels, columns, &places,
                panel.data());
      PanelProduct product = {dy + pixels.first * shape_.num_output + first,
                              shape_.num_output,
                              task.outputs.end - task.outputs.first,
                              panel.data(),
                              columns.end - columns.first,
                              pixels.end - pixels.first,
                              task.sums + first * columns_ + c,
                              columns_,
                              task.add || b > task.blocks.first};
      product.turned = true;
      Multiply(kernel_, product);
    }
  }
}

// Adds the slices' sums, columns counting channels fastest, to the weights'
// gradient, where taps are.
void ConvWeightGradient::Finish(const float* sums, float* dw) const {
  const int64_t count = shape_.weight_count();
  ParallelRanges(shape_.num_output, RowsPerRange(columns_ * slices_),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     float* to = dw + row * columns_;
                     for (int64_t s = 0; s < slices_; ++s) {
                       const float* from = sums + s * count + row * columns_;
                       for (int64_t i = 0; i < inputs_; ++i) {
                         for (int64_t tap = 0; tap < taps_; ++tap) {
                           to[i * taps_ + tap] += from[tap * inputs_ + i];
                         }
                       }
                     }
                   }
                 });
}

void ConvWeightGradient::Run(const float* dy, const float* x, float* dw) const {
  const bool direct = slices_ == 1 && taps_ == 1;
  const int64_t count = shape_.weight_count();
  const Scratch<float> sums(direct ? 0 : slices_ * count);
  const int64_t chunks = CeilDiv(columns_, kColumns);
  const int64_t parts = CeilDiv(outputs_, kOutputs);
  const int64_t blocks = CeilDiv(pixels_, kBlock);
  ParallelFor(shape_.group * chunks * parts * slices_, [&](int64_t index) {
    const int64_t s = index % slices_, part = index / slices_ % parts;
    const int64_t chunk = index / (slices_ * parts) % chunks;
    Task task;
    task.group = index / (slices_ * parts * chunks);
    task.outputs = {part * kOutputs, std::min((part + 1) * kOutputs, outputs_)};
    task.columns = {chunk * kColumns,
                    std::min((chunk + 1) * kColumns, columns_)};
    task.blocks = {s * blocks / slices_, (s + 1) * blocks / slices_};
    task.sums = direct ? dw : sums.data() + s * count;
    task.add = direct;
    AddUp(dy, x, task);
  });
  if (!direct) Finish(sums.data(), dw);
}

}  // namespace p3d
