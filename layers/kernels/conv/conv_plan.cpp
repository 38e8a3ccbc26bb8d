#include "kernels/conv/conv_plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/thread_pool.hpp"

namespace p3d {
namespace {

// With more padded axes or more runs than this, padding is copied.
const size_t kMaxSkippedAxes = 6;
const int64_t kMaxRuns = 1 << 14;

bool IsPadded(const ConvAxis& axis) {
  return axis.pad_begin > 0 || axis.pad_end > 0;
}

bool IsUntouched(const ConvAxis& axis) {
  return axis.kernel == 1 && axis.stride == 1 && !IsPadded(axis);
}

std::vector<ConvAxis> MergedAxes(const ConvShape& shape) {
  std::vector<ConvAxis> merged(1);
  merged[0].in = shape.num;
  for (const ConvAxis& axis : shape.axes) {
    if (IsUntouched(axis) && IsUntouched(merged.back())) {
      merged.back().in *= axis.in;
    } else {
      merged.push_back(axis);
    }
  }
  return merged;
}

// Floats from one step along each axis to the next.
std::vector<int64_t> Strides(const std::vector<int64_t>& size,
                             int64_t channels) {
  std::vector<int64_t> strides(size.size());
  for (size_t i = size.size(); i-- > 0; channels *= size[i]) {
    strides[i] = channels;
  }
  return strides;
}

// Which axes' padding is copied: every choice, or only the one that always
// works, which comes first.
std::vector<std::vector<bool>> CopyChoices(const std::vector<ConvAxis>& axes,
                                           PadMode mode) {
  std::vector<bool> all;
  for (const ConvAxis& axis : axes) all.push_back(IsPadded(axis));
  std::vector<std::vector<bool>> choices{all};
  const size_t padded = std::count(all.begin(), all.end(), true);
  if (mode != PadMode::kZero || padded > kMaxSkippedAxes) return choices;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (!all[i]) continue;
    for (size_t j = choices.size(); j-- > 0;) {
      choices.push_back(choices[j]);
      choices.back()[i] = false;
    }
  }
  return choices;
}

// Counts `index` up within `size`, last axis fastest; false after the last.
bool Next(const std::vector<int64_t>& size, std::vector<int64_t>* index) {
  for (size_t i = size.size(); i-- > 0;) {
    if (++(*index)[i] < size[i]) return true;
    (*index)[i] = 0;
  }
  return false;
}

void Append(const TapRun& run, std::vector<TapRun>* runs) {
  if (!runs->empty() && runs->back().x + runs->back().length == run.x &&
      runs->back().row + runs->back().length == run.row) {
    runs->back().length += run.length;
  } else {
    runs->push_back(run);
  }
}

}  // namespace

ConvPlan::ConvPlan(const ConvShape& shape, const PlanCosts& costs)
    : channels_(shape.channels),
      group_(shape.group),
      num_output_(shape.num_output),
      pad_mode_(shape.pad_mode),
      source_(MergedAxes(shape)) {
  const auto choices = CopyChoices(source_, pad_mode_);
  size_t best = 0;
  bool best_wide = false;
  double best_cost = HUGE_VAL;
  for (size_t i = 0; i < choices.size(); ++i) {
    for (bool wide : {false, true}) {
      if (wide && costs.gather_steps == 0) continue;
      if (!Build(choices[i], wide)) continue;
      const double cost = Cost(costs);
      if (cost < best_cost) {
        best = i;
        best_wide = wide;
        best_cost = cost;
      }
    }
  }
  Build(choices[best], best_wide);
}

ConvPlan::AxisPart ConvPlan::PartAt(const ConvAxis& axis, int64_t out) {
  const int64_t start = out * axis.stride - axis.pad_begin;
  const int64_t outside = std::max<int64_t>(-start, 0);
  const int64_t inside = std::max<int64_t>(axis.in - start, 0);
  const int64_t d = axis.dilation;
  const int64_t first = std::min((outside + d - 1) / d, axis.kernel);
  const int64_t last = std::min((inside + d - 1) / d, axis.kernel);
  return {out, out + 1, first, std::max(first, last)};
}

// The axis cut where the taps inside the input change; nothing where those
// would be too many parts.
std::vector<ConvPlan::AxisPart> ConvPlan::AxisParts(const ConvAxis& axis) {
  const int64_t out = axis.out();
  const int64_t reach = axis.dilation * (axis.kernel - 1) + 1;
  // Between these all taps are inside: start >= 0 and start + reach <= in.
  const int64_t inner_begin =
      std::min((axis.pad_begin + axis.stride - 1) / axis.stride, out);
  const int64_t room = axis.in + axis.pad_begin - reach;
  const int64_t inner_end =
      room < 0 ? 0 : std::min(room / axis.stride + 1, out);
  std::vector<AxisPart> parts;
  if (out - std::max<int64_t>(inner_end - inner_begin, 0) > kMaxRuns) {
    return parts;
  }
  for (int64_t o = 0; o < out; o = parts.back().end) {
    AxisPart part = PartAt(axis, o);
    if (o == inner_begin) part.end = std::max(part.end, inner_end);
    if (!parts.empty() && parts.back().first == part.first &&
        parts.back().last == part.last) {
      parts.back().end = part.end;
    } else {
      parts.push_back(part);
    }
  }
  return parts;
}

// False where there would be too many classes, or nothing to be wide.
bool ConvPlan::Build(const std::vector<bool>& copied, bool wide) {
  axes_ = source_;
  std::vector<int64_t> in, out, part_counts;
  std::vector<std::vector<AxisPart>> parts;
  int64_t classes = 1, taps = 1;
  for (size_t i = 0; i < axes_.size(); ++i) {
    ConvAxis& axis = axes_[i];
    out.push_back(axis.out());
    if (copied[i]) {
      axis.in += axis.pad_begin + axis.pad_end;
      axis.pad_begin = axis.pad_end = 0;
    }
    in.push_back(axis.in);
    parts.push_back(IsPadded(axis)
                        ? AxisParts(axis)
                        : std::vector<AxisPart>{{0, out[i], 0, axis.kernel}});
    part_counts.push_back(parts[i].size());
    classes *= part_counts[i];
    taps *= axis.kernel;
    if (classes == 0 || classes > kMaxRuns) return false;
  }
  if (classes > 1 && taps > kMaxRuns / classes) return false;
  x_strides_ = Strides(in, channels_);
  y_strides_ = Strides(out, num_output_);
  const bool any = std::count(copied.begin(), copied.end(), true) > 0;
  padded_size_ = any ? in[0] * x_strides_[0] : 0;
  const int64_t dropped = in.back() - out.back();
  if (wide && (!any || dropped == 0 || axes_.back().stride > 1 ||
               IsPadded(axes_.back()))) {
    return false;
  }
  beyond_ = wide ? dropped * channels_ : 0;

  classes_.clear();
  std::vector<int64_t> index(axes_.size());
  if (wide) parts.back()[0].end = in.back();
  do {
    std::vector<AxisPart> box;
    for (size_t i = 0; i < axes_.size(); ++i) box.push_back(parts[i][index[i]]);
    classes_.push_back(MakeClass(box));
  } while (Next(part_counts, &index));
  return true;
}

PixelClass ConvPlan::MakeClass(const std::vector<AxisPart>& box) const {
  PixelClass result;
  std::vector<int64_t> taps;
  for (size_t i = 0; i < box.size(); ++i) {
    const AxisPart& part = box[i];
    result.size.push_back(part.end - part.begin);
    result.pixels *= result.size[i];
    result.y_origin += part.begin * y_strides_[i];
    result.x_origin +=
        x_strides_[i] * (part.begin * axes_[i].stride - axes_[i].pad_begin +
                         part.first * axes_[i].dilation);
    taps.push_back(part.last - part.first);
  }
  if (std::count(taps.begin(), taps.end(), 0) > 0) return result;
  const int64_t length = channels_ / group_;
  std::vector<int64_t> tap(taps.size());
  do {
    TapRun run{0, 0, length};
    for (size_t i = 0; i < tap.size(); ++i) {
      run.x += tap[i] * axes_[i].dilation * x_strides_[i];
      run.row = run.row * axes_[i].kernel + box[i].first + tap[i];
    }
    run.row *= length;
    Append(run, &result.runs);
    result.depth += length;
  } while (Next(taps, &tap));
  return result;
}

double ConvPlan::Cost(const PlanCosts& costs) const {
  double steps = 0;
  for (const PixelClass& box : classes_) {
    const int64_t tiles =
        (box.pixels + costs.tile_pixels - 1) / costs.tile_pixels;
    const double rows = std::max<double>(
        static_cast<double>(box.pixels) / tiles, costs.min_pixels);
    steps += tiles * (rows * box.depth + costs.tile_steps) * costs.passes;
    steps += Gathered(box, costs) * box.pixels * box.depth * costs.gather_steps;
  }
  return steps + padded_size_ * costs.copy_steps;
}

// The share of tiles whose pixels do not lie equally far apart, from how many
// do in a row.
double ConvPlan::Gathered(const PixelClass& box, const PlanCosts& costs) const {
  int64_t pixels = 1, end = 0;
  for (size_t i = box.size.size(); i-- > 0; pixels *= box.size[i]) {
    const int64_t step = axes_[i].stride * x_strides_[i];
    if (box.size[i] == 1) continue;
    if (pixels > 1 && step != end) {
      if (pixels % costs.tile_pixels == 0) return 0;
      return std::min(1., static_cast<double>(costs.tile_pixels) / pixels);
    }
    end = step * box.size[i];
  }
  return 0;
}

void ConvPlan::Locate(const PixelClass& box, int64_t first, int64_t count,
                      int64_t* x, int64_t* y) const {
  const size_t last = box.size.size() - 1;
  const int64_t x_step = axes_[last].stride * x_strides_[last];
  const int64_t y_step = y_strides_[last];
  const int64_t width = axes_[last].out();
  while (count > 0) {
    int64_t x_at = box.x_origin, y_at = box.y_origin;
    int64_t rest = first;
    for (size_t i = last + 1; i-- > 0; rest /= box.size[i]) {
      const int64_t at = rest % box.size[i];
      x_at += at * axes_[i].stride * x_strides_[i];
      y_at += at * y_strides_[i];
    }
    const int64_t run =
        std::min(count, box.size[last] - first % box.size[last]);
    // A class that does not begin at 0 ends with the output.
    const int64_t kept = width - first % box.size[last];
    for (int64_t i = 0; i < run; ++i) {
      x[i] = x_at + i * x_step;
      y[i] = i < kept ? y_at + i * y_step : -1;
    }
    x += run;
    y += run;
    first += run;
    count -= run;
  }
}

void ConvPlan::PadInput(const float* x, float* padded) const {
  const int64_t row = axes_.back().in * channels_;
  const int64_t rows = padded_size_ / row;
  const int64_t chunk = (rows - 1) / (4 * NumThreads()) + 1;
  ParallelFor((rows - 1) / chunk + 1, [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * chunk);
    for (int64_t i = task * chunk; i < end; ++i) {
      PadRow(x, i, padded + i * row);
    }
  });
}

// The padded input's row `index` along the last axis.
void ConvPlan::PadRow(const float* x, int64_t index, float* to) const {
  const size_t last = axes_.size() - 1;
  const bool zero = pad_mode_ == PadMode::kZero;
  bool outside = false;
  int64_t stride = source_[last].in * channels_;
  for (size_t i = last; i-- > 0;) {
    const int64_t size = source_[i].in;
    int64_t at =
        index % axes_[i].in - source_[i].pad_begin + axes_[i].pad_begin;
    outside |= at < 0 || at >= size;
    at = std::max<int64_t>(0, std::min(at, size - 1));
    x += at * stride;
    stride *= size;
    index /= axes_[i].in;
  }
  if (outside && zero) {
    std::fill_n(to, axes_[last].in * channels_, 0.f);
    return;
  }
  const int64_t inside = source_[last].in;
  const int64_t before = source_[last].pad_begin - axes_[last].pad_begin;
  const float* end = x + (inside - 1) * channels_;
  for (int64_t i = 0; i < before; ++i) CopyPixel(zero ? nullptr : x, &to);
  std::memcpy(to, x, inside * channels_ * sizeof(float));
  to += inside * channels_;
  for (int64_t i = before + inside; i < axes_[last].in; ++i) {
    CopyPixel(zero ? nullptr : end, &to);
  }
}

// Appends the pixel at `from`, or zeros.
void ConvPlan::CopyPixel(const float* from, float** to) const {
  if (from) {
    std::memcpy(*to, from, channels_ * sizeof(float));
  } else {
    std::fill_n(*to, channels_, 0.f);
  }
  *to += channels_;
}

}  // namespace p3d
