#include "kernels/conv/conv_data_gradient.hpp"

#include <algorithm>
#include <utility>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

const int64_t kMaxPhases = 1 << 12;
const int64_t kMaxTaps = 1 << 20;

int64_t PhaseCount(const ConvAxis& axis) {
  return std::min(axis.stride, axis.in);
}

// Counts `index` up within `size`, last axis fastest; false after the last.
template <typename Sizes>
bool Next(const Sizes& size, std::vector<int64_t>* index) {
  for (size_t i = index->size(); i-- > 0;) {
    if (++(*index)[i] < size(i)) return true;
    (*index)[i] = 0;
  }
  return false;
}

}  // namespace

template <typename Value>
std::unique_ptr<const ConvDataGradient<Value>> ConvDataGradient<Value>::Create(
    const ConvShape& shape, Isa isa) {
  int64_t phases = 1;
  for (const ConvAxis& axis : shape.axes) {
    if (PhaseCount(axis) > kMaxPhases / phases) return nullptr;
    phases *= PhaseCount(axis);
  }
  if (shape.pad_mode != PadMode::kZero || shape.taps() > kMaxTaps / phases) {
    return nullptr;
  }
  std::unique_ptr<ConvDataGradient> gradient(new ConvDataGradient(shape));
  std::vector<std::vector<AxisPhase>> parts;
  for (const ConvAxis& axis : shape.axes) parts.push_back(AxisPhases(axis));
  std::vector<int64_t> index(parts.size());
  do {
    std::vector<AxisPhase> axes;
    for (size_t i = 0; i < parts.size(); ++i)
      axes.push_back(parts[i][index[i]]);
    if (!gradient->AddPhase(axes, isa)) return nullptr;
  } while (Next([&](size_t i) { return static_cast<int64_t>(parts[i].size()); },
                &index));
  return gradient;
}

template <typename Value>
std::vector<typename ConvDataGradient<Value>::AxisPhase>
ConvDataGradient<Value>::AxisPhases(const ConvAxis& axis) {
  std::vector<AxisPhase> phases;
  for (int64_t first = 0; first < PhaseCount(axis); ++first) {
    phases.push_back(MakeAxisPhase(axis, first));
  }
  return phases;
}

// Tap k sees place q from pixel (q + pad_begin - k * dilation) / stride, if
// that is a whole number. Along a phase both count up by one; from one of its
// taps to the next the pixel moves back by `back`.
template <typename Value>
typename ConvDataGradient<Value>::AxisPhase
ConvDataGradient<Value>::MakeAxisPhase(const ConvAxis& axis, int64_t first) {
  AxisPhase phase;
  phase.first = first;
  phase.count = CeilDiv(axis.in - first, axis.stride);
  for (int64_t k = axis.kernel; k-- > 0;) {
    if ((first + axis.pad_begin - k * axis.dilation) % axis.stride == 0) {
      phase.taps.push_back(k);
    }
  }
  if (phase.taps.empty()) return phase;
  const int64_t taps = static_cast<int64_t>(phase.taps.size());
  const int64_t back =
      taps == 1 ? 1
                : (phase.taps[0] - phase.taps[1]) * axis.dilation / axis.stride;
  // The pixel from which the largest tap sees the first place.
  const int64_t start =
      (first + axis.pad_begin - phase.taps[0] * axis.dilation) / axis.stride;
  const int64_t end = start + phase.count + (taps - 1) * back;
  const int64_t out = axis.out();
  phase.axis.kernel = taps;
  phase.axis.dilation = back;
  phase.axis.pad_begin = std::max<int64_t>(0, -start);
  phase.axis.pad_end = std::max<int64_t>(0, end - out);
  phase.crop = {out, std::max<int64_t>(0, start), 0};
  phase.crop.size = std::min(end, out) - phase.crop.offset;
  phase.axis.in = phase.crop.size;
  if (phase.crop.size <= 0) phase.taps.clear();
  return phase;
}

template <typename Value>
bool ConvDataGradient<Value>::AddPhase(const std::vector<AxisPhase>& axes,
                                       Isa isa) {
  phases_.emplace_back();
  Phase& phase = phases_.back();
  phase.axes = axes;
  ConvShape shape = shape_;
  std::swap(shape.channels, shape.num_output);
  shape.axes.clear();
  bool seen = true;
  for (const AxisPhase& axis : axes) {
    seen &= !axis.taps.empty();
    phase.cropped |= axis.crop.size != axis.crop.in;
    shape.axes.push_back(axis.axis);
  }
  if (!seen) return true;
  phase.conv = MirroredConv::Create(shape, isa);
  if (!phase.conv) return false;
  std::vector<int64_t> index(axes.size());
  do {
    int64_t tap = 0;
    for (size_t i = 0; i < axes.size(); ++i) {
      tap = tap * shape_.axes[i].kernel + axes[i].taps[index[i]];
    }
    phase.taps.push_back(tap);
  } while (
      Next([&](size_t i) { return static_cast<int64_t>(axes[i].taps.size()); },
           &index));
  return true;
}

template <typename Value>
void ConvDataGradient<Value>::Convolve(const Phase& phase, const Value* dy,
                                       const float* weights, float* y,
                                       bool add) const {
  const MirroredConv& conv = *phase.conv;
  const Scratch<float> packed(conv.packed_size());
  conv.PackMirrored(weights, phase.taps, shape_.taps(), packed.data());
  std::vector<CropAxis> block = {{shape_.num, 0, shape_.num}};
  int64_t seen = shape_.num * shape_.num_output;
  for (const AxisPhase& axis : phase.axes) {
    block.push_back(axis.crop);
    seen *= axis.crop.size;
  }
  block.push_back({shape_.num_output, 0, shape_.num_output});
  const Scratch<Value> cropped(phase.cropped ? seen : 0);
  if (phase.cropped) {
    Crop(block, dy, cropped.data());
    dy = cropped.data();
  }
  const Scratch<float> workspace(conv.workspace_size());
  ConvEpilogue epilogue;
  epilogue.residual = add ? y : nullptr;
  conv.Run(dy, packed.data(), epilogue, y, workspace.data());
}

// Copies or adds the gradient of a phase, zeros without `y`, to its places.
template <typename Value>
void ConvDataGradient<Value>::Scatter(const Phase& phase, const float* y,
                                      float* dx, bool add) const {
  const int64_t channels = shape_.channels;
  const AxisPhase& last = phase.axes.back();
  const int64_t step = shape_.axes.back().stride * channels;
  int64_t rows = shape_.num;
  for (const AxisPhase& axis : phase.axes) rows *= axis.count;
  rows /= last.count;
  ParallelRanges(
      rows, RowsPerRange(last.count * channels),
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          int64_t place = last.first, stride = shape_.axes.back().in;
          int64_t rest = row;
          for (size_t i = phase.axes.size() - 1; i-- > 0;) {
            const AxisPhase& axis = phase.axes[i];
            const int64_t at = rest % axis.count;
            place += (axis.first + at * shape_.axes[i].stride) * stride;
            stride *= shape_.axes[i].in;
            rest /= axis.count;
          }
          float* to = dx + (place + rest * stride) * channels;
          const float* from = y ? y + row * last.count * channels : nullptr;
          for (int64_t j = 0; j < last.count; ++j, to += step) {
            if (!from) {
              std::fill_n(to, channels, 0.f);
            } else if (add) {
              for (int64_t c = 0; c < channels; ++c) {
                to[c] += from[j * channels + c];
              }
            } else {
              std::copy_n(from + j * channels, channels, to);
            }
          }
        }
      });
}

template <typename Value>
void ConvDataGradient<Value>::Run(const Value* dy, const float* weights,
                                  float* dx, bool add) const {
  if (phases_.size() == 1 && phases_[0].conv) {
    Convolve(phases_[0], dy, weights, dx, add);
    return;
  }
  for (const Phase& phase : phases_) {
    if (add && !phase.conv) continue;
    int64_t count = shape_.num * shape_.channels;
    for (const AxisPhase& axis : phase.axes) count *= axis.count;
    const Scratch<float> gradient(phase.conv ? count : 0);
    if (phase.conv) Convolve(phase, dy, weights, gradient.data(), false);
    Scatter(phase, phase.conv ? gradient.data() : nullptr, dx, add);
  }
}

template class ConvDataGradient<float>;
template class ConvDataGradient<Bf16>;

}  // namespace p3d
