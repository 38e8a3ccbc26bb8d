#include "kernels/tap_matrix.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/error.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

int64_t FloorDiv(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

// Constant lengths become a few vector moves; most runs are rows of an image.
inline void CopyRun(const float* from, int64_t length, float* to) {
  for (; length >= 16; length -= 16, from += 16, to += 16) {
    std::memcpy(to, from, 16 * sizeof(float));
  }
  for (; length >= 4; length -= 4, from += 4, to += 4) {
    std::memcpy(to, from, 4 * sizeof(float));
  }
  for (; length > 0; --length) *to++ = *from++;
}

}  // namespace

TapMatrix::TapMatrix(const ConvShape& shape)
    : channels_(shape.channels / shape.group),
      taps_(shape.taps()),
      plane_(shape.in_pixels()),
      step_(shape.axes.back().stride),
      out_width_(shape.axes.back().out()) {
  Check(shape.pad_mode == PadMode::kZero,
        "a convolution in Caffe's order pads with zeros only.");
  out_rows_ = shape.out_pixels() / out_width_;
  const ConvAxis& last = shape.axes.back();
  is_input_ = true;
  for (const ConvAxis& axis : shape.axes) {
    is_input_ &= axis.kernel == 1 && axis.stride == 1 && axis.pad_begin == 0 &&
                 axis.pad_end == 0;
  }
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

// The runs of a block's columns for one tap, in order; their number.
int64_t TapMatrix::FindRuns(int64_t tap, const MatrixBlock& block,
                            Run* runs) const {
  const int64_t kernel = inside_.size();
  const int64_t* places = row_places_.data() + tap / kernel * out_rows_;
  const Inside& inside = inside_[tap % kernel];
  int64_t row = block.column / out_width_, column = block.column % out_width_;
  int64_t count = 0;
  for (int64_t to = 0; to < block.columns; ++row, column = 0) {
    const int64_t stop = std::min(out_width_, column + block.columns - to);
    const int64_t begin = std::max(column, inside.begin);
    const int64_t end = std::min(stop, inside.end);
    if (places[row] >= 0 && begin < end) {
      const Run run = {to + begin - column,
                       places[row] + inside.from + begin * step_, end - begin};
      Run* last = count > 0 ? runs + count - 1 : nullptr;
      if (last && step_ == 1 && last->to + last->length == run.to &&
          last->from + last->length == run.from) {
        last->length += run.length;
      } else {
        runs[count++] = run;
      }
    }
    to += stop - column;
  }
  return count;
}

// body(row of the block, offset of its plane, runs, number of runs)
template <typename Body>
void TapMatrix::ForEachLine(const MatrixBlock& block, const Body& body) const {
  const Scratch<Run> runs(block.columns / out_width_ + 2);
  for (int64_t tap = 0; tap < taps_; ++tap) {
    // The block's first row of this tap.
    int64_t channel = (block.row - tap + taps_ - 1) / taps_;
    const int64_t end = block.row + block.rows;
    if (channel * taps_ + tap >= end) continue;
    const int64_t count = FindRuns(tap, block, runs.data());
    for (; channel * taps_ + tap < end; ++channel) {
      body(channel * taps_ + tap - block.row, channel * plane_, runs.data(),
           count);
    }
  }
}

void TapMatrix::Gather(const float* planes, const MatrixBlock& block,
                       int64_t pitch, float* to) const {
  ForEachLine(
      block, [&](int64_t row, int64_t plane, const Run* runs, int64_t count) {
        float* line = to + row * pitch;
        const float* from = planes + plane;
        const bool whole = count == 1 && runs[0].length == pitch;
        if (!whole) std::fill_n(line, pitch, 0.f);
        for (const Run *run = runs, *end = runs + count; run != end; ++run) {
          if (step_ == 1) {
            CopyRun(from + run->from, run->length, line + run->to);
            continue;
          }
          for (int64_t j = 0; j < run->length; ++j) {
            line[run->to + j] = from[run->from + j * step_];
          }
        }
      });
}

void TapMatrix::ScatterAdd(const float* from, const MatrixBlock& block,
                           int64_t pitch, float* planes) const {
  ForEachLine(
      block, [&](int64_t row, int64_t plane, const Run* runs, int64_t count) {
        const float* line = from + row * pitch;
        float* to = planes + plane;
        for (const Run *run = runs, *end = runs + count; run != end; ++run) {
          for (int64_t j = 0; j < run->length; ++j) {
            to[run->from + j * step_] += line[run->to + j];
          }
        }
      });
}

}  // namespace p3d
