#include "kernels/conv/tap_matrix.hpp"

#include <algorithm>

#include "kernels/conv/tap_copy-inl.hpp"
#include "kernels/error.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

int64_t FloorDiv(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

// From an output pixel's place to the input's, where neither axis has strides.
std::vector<int64_t> TapShifts(const ConvShape& shape) {
  std::vector<int64_t> shifts(shape.taps());
  for (int64_t i = 0; i < shape.taps(); ++i) {
    int64_t tap = i, size = 1;
    for (size_t a = shape.axes.size(); a-- > 0;) {
      const ConvAxis& axis = shape.axes[a];
      shifts[i] += (tap % axis.kernel * axis.dilation - axis.pad_begin) * size;
      size *= axis.in;
      tap /= axis.kernel;
    }
  }
  return shifts;
}

}  // namespace

TapMatrix::TapMatrix(const ConvShape& shape)
    : channels_(shape.channels / shape.group),
      taps_(shape.taps()),
      plane_(shape.in_pixels()),
      step_(shape.axes.back().stride),
      out_rows_(shape.out_pixels() / shape.axes.back().out()),
      out_width_(shape.axes.back().out()),
      is_shifted_(true) {
  Check(shape.pad_mode == PadMode::kZero,
        "a convolution in Caffe's order pads with zeros only.");
  for (size_t i = 0; i < shape.axes.size(); ++i) {
    const ConvAxis& axis = shape.axes[i];
    is_shifted_ &= axis.stride == 1 && (i == 0 || axis.out() == axis.in);
  }
  if (is_shifted_) shifts_ = TapShifts(shape);
  SetInside(shape.axes.back());
  SetRowPlaces(shape);
}

void TapMatrix::SetInside(const ConvAxis& last) {
  for (int64_t k = 0; k < last.kernel; ++k) {
    const int64_t from = k * last.dilation - last.pad_begin;
    Inside inside;
    inside.from = from;
    inside.begin =
        std::min(out_width_, std::max<int64_t>(0, -FloorDiv(from, step_)));
    inside.end =
        std::max(inside.begin,
                 std::min(out_width_, FloorDiv(last.in - 1 - from, step_) + 1));
    inside_.push_back(inside);
  }
}

void TapMatrix::SetRowPlaces(const ConvShape& shape) {
  const ConvAxis& last = shape.axes.back();
  row_places_.resize(taps_ / last.kernel * out_rows_);
  for (int64_t i = 0; i < static_cast<int64_t>(row_places_.size()); ++i) {
    int64_t tap = i / out_rows_, row = i % out_rows_;
    int64_t place = 0, size = last.in;
    for (size_t a = shape.axes.size() - 1; a-- > 0;) {
      const ConvAxis& axis = shape.axes[a];
      const int64_t at = row % axis.out() * axis.stride - axis.pad_begin +
                         tap % axis.kernel * axis.dilation;
      if (at < 0 || at >= axis.in) place = -1;
      if (place >= 0) place += at * size;
      size *= axis.in;
      row /= axis.out();
      tap /= axis.kernel;
    }
    row_places_[i] = place;
  }
}

// Columns [column, column + length) of the line; joined with the run before
// where the panel allows.
void TapMatrix::Line::Add(int64_t column, int64_t from, int64_t length,
                          int64_t step) {
  while (length > 0) {
    const int64_t at = column % pitch;
    const int64_t part = std::min(length, pitch - at);
    const int64_t to = column / pitch * panel + at;
    Run* last = count > 0 ? runs + count - 1 : nullptr;
    const bool joined = last && at > 0 &&
                        (from < 0 ? last->from < 0
                                  : step == 1 && last->from >= 0 &&
                                        last->from + last->length == from);
    if (joined) {
      last->length += part;
    } else {
      runs[count++] = {to, from, part};
    }
    column += part;
    length -= part;
    if (from >= 0) from += part * step;
  }
}

// The most runs of a line: of each row of outputs padding, input and padding,
// and where panels of `pitch` columns cut them.
int64_t TapMatrix::MostRuns(const MatrixBlock& block, int64_t pitch) const {
  return 3 * (block.columns / out_width_ + 2) + block.columns / pitch + 2;
}

// The runs of a block's columns for one tap, in order.
void TapMatrix::FindRuns(int64_t tap, const MatrixBlock& block,
                         Line* line) const {
  const int64_t kernel = inside_.size();
  const int64_t* places = row_places_.data() + tap / kernel * out_rows_;
  const Inside& inside = inside_[tap % kernel];
  int64_t row = block.column / out_width_, column = block.column % out_width_;
  line->count = 0;
  for (int64_t to = 0; to < block.columns; ++row, column = 0) {
    const int64_t stop = std::min(out_width_, column + block.columns - to);
    int64_t begin = std::min(std::max(column, inside.begin), stop);
    int64_t end = std::max(begin, std::min(stop, inside.end));
    if (places[row] < 0) begin = end = stop;
    line->Add(to, -1, begin - column, 1);
    line->Add(to + begin - column, places[row] + inside.from + begin * step_,
              end - begin, step_);
    line->Add(to + end - column, -1, stop - end, 1);
    to += stop - column;
  }
  const int64_t rest = block.columns % line->pitch;
  if (rest > 0) line->Add(block.columns, -1, line->pitch - rest, 1);
}

// body(row of the block, offset of its plane, line)
template <typename Body>
void TapMatrix::ForEachLine(const MatrixBlock& block, int64_t pitch,
                            const Body& body) const {
  const Scratch<Run> runs(MostRuns(block, pitch));
  Line line = {runs.data(), 0, pitch, block.rows * pitch};
  for (int64_t tap = 0; tap < taps_; ++tap) {
    // The block's first row of this tap.
    int64_t channel = (block.row - tap + taps_ - 1) / taps_;
    const int64_t end = block.row + block.rows;
    if (channel * taps_ + tap >= end) continue;
    FindRuns(tap, block, &line);
    for (; channel * taps_ + tap < end; ++channel) {
      body(channel * taps_ + tap - block.row, channel * plane_, line);
    }
  }
}

void TapMatrix::GatherRuns(const float* planes, const MatrixBlock& block,
                           int64_t pitch, float* to) const {
  ForEachLine(block, pitch, [&](int64_t row, int64_t plane, const Line& line) {
    const float* from = planes + plane;
    for (const Run *run = line.runs, *end = run + line.count; run != end;
         ++run) {
      float* out = to + row * pitch + run->to;
      if (run->from < 0) {
        for (int64_t j = 0; j < run->length; ++j) out[j] = 0;
      } else if (step_ == 1) {
        CopyRun(from + run->from, run->length, out);
      } else {
        CopySteps(from + run->from, step_, run->length, out);
      }
    }
  });
}

// All ones for the block's columns that see the input through the tap, else 0.
void TapMatrix::FindMask(int64_t tap, const MatrixBlock& block,
                         uint32_t* mask) const {
  const Scratch<Run> runs(MostRuns(block, block.columns));
  Line line = {runs.data(), 0, block.columns, 0};
  FindRuns(tap, block, &line);
  for (const Run *run = line.runs, *end = run + line.count; run != end; ++run) {
    std::fill_n(mask + run->to, run->length, run->from < 0 ? 0 : ~uint32_t{0});
  }
}

// Neighbouring columns are neighbours in the plane, wherever a row ends, so
// rows need no copies of their own: what is padding is masked out.
void TapMatrix::GatherShifted(const float* planes, const MatrixBlock& block,
                              int64_t pitch, float* to) const {
  const int64_t panels = (block.columns + pitch - 1) / pitch;
  const Scratch<uint32_t> mask(panels * pitch);
  const Scratch<float> edge(pitch);
  for (int64_t tap = 0; tap < std::min(taps_, block.row + block.rows); ++tap) {
    int64_t channel = (block.row - tap + taps_ - 1) / taps_;
    const int64_t stop = block.row + block.rows;
    if (channel * taps_ + tap >= stop) continue;
    std::fill_n(mask.data(), panels * pitch, 0);
    FindMask(tap, block, mask.data());
    const int64_t first = block.column + shifts_[tap];
    for (; channel * taps_ + tap < stop; ++channel) {
      const float* plane = planes + channel * plane_;
      float* line = to + (channel * taps_ + tap - block.row) * pitch;
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t begin = first + panel * pitch;
        const float* from = plane + begin;
        if (begin < 0 || begin + pitch > plane_) {
          // Not all of it can be read.
          const int64_t low = std::min(std::max<int64_t>(0, -begin), pitch);
          const int64_t high = std::max(low, std::min(pitch, plane_ - begin));
          std::fill_n(edge.data(), pitch, 0.f);
          std::copy(from + low, from + high, edge.data() + low);
          from = edge.data();
        }
        CopyMasked(from, mask.data() + panel * pitch, pitch,
                   line + panel * block.rows * pitch);
      }
    }
  }
}

void TapMatrix::Gather(const float* planes, const MatrixBlock& block,
                       int64_t pitch, float* to) const {
  if (is_shifted_ && pitch % 4 == 0) {
    GatherShifted(planes, block, pitch, to);
  } else {
    GatherRuns(planes, block, pitch, to);
  }
}

void TapMatrix::ScatterAdd(const float* from, const MatrixBlock& block,
                           int64_t pitch, float* planes) const {
  ForEachLine(block, pitch, [&](int64_t row, int64_t plane, const Line& line) {
    for (const Run *run = line.runs, *end = run + line.count; run != end;
         ++run) {
      if (run->from < 0) continue;
      const float* values = from + row * pitch + run->to;
      float* out = planes + plane + run->from;
      for (int64_t j = 0; j < run->length; ++j) out[j * step_] += values[j];
    }
  });
}

}  // namespace p3d
