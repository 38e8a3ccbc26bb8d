#include "kernels/conv/conv_weight_gradient.hpp"

#include <algorithm>

#include "kernels/conv/panel_product.hpp"
#include "kernels/conv/put_taps.hpp"
#include "kernels/conv/tap_copy-inl.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// Pixels of a block: their panel stays in L1 while the outputs run over it.
template <typename Value>
constexpr int64_t kBlock = 256 * kPerWord<Value>;
const int64_t kColumns = 256;    // of a part
const int64_t kSliceBlocks = 4;  // at least
const int64_t kMaxTaps = 1 << 20;
// Fewer would fill matrix registers up for the most part.
const int64_t kLeastAmxPixels = 16, kLeastAmxOutputs = 32;
// The widest panel, and how many are gathered together.
const int64_t kMaxWidth = 64;
const int64_t kTogether = 4;
// Pixels of which pieces of several panels are copied in turn.
const int64_t kRows = 8;
// How many pixels ahead their values are fetched.
const int64_t kAhead = 16;

// Few channels lie side by side with those of the next tap of the last axis.
int64_t StretchOf(const ConvShape& shape, int64_t width) {
  const ConvAxis& last = shape.axes.back();
  const bool joined =
      shape.group == 1 && shape.channels < width && last.dilation == 1;
  return joined ? last.kernel : 1;
}

// Values of a word's pixels as a row of words.
inline void Join(const AmxKernels*, const float* const (&values)[1],
                 int64_t count, float* words) {
  CopyRun(values[0], count, words);
}
inline void Join(const AmxKernels* amx, const Bf16* const (&values)[2],
                 int64_t count, float* words) {
  if (amx) {
    amx->join(values[0], values[1], count, words);
  } else {
    JoinPairs(values[0], values[1], count, words);
  }
}

}  // namespace

template <typename Value>
std::unique_ptr<const WeightGradient<Value>> ConvWeightGradient<Value>::Create(
    const ConvShape& shape, Isa isa) {
  if (shape.pad_mode != PadMode::kZero || shape.taps() > kMaxTaps) {
    return nullptr;
  }
  return std::unique_ptr<const WeightGradient<Value>>(
      new ConvWeightGradient(shape, isa));
}

template <typename Value>
bool ConvWeightGradient<Value>::TakesAmx(const ConvShape& shape, Isa isa) {
  return kPerWord<Value> > 1 && AmxKernelsFor(isa) &&
         shape.num * shape.out_pixels() >= kLeastAmxPixels &&
         shape.num_output / shape.group >= kLeastAmxOutputs;
}

template <typename Value>
ConvWeightGradient<Value>::ConvWeightGradient(const ConvShape& shape, Isa isa)
    : shape_(shape),
      kernel_(OuterKernel<Value>(isa)),
      amx_(TakesAmx(shape, isa) ? AmxKernelsFor(isa) : nullptr),
      width_(kernel_.vectors * kernel_.vector),
      taps_(shape.taps()),
      inputs_(shape.channels / shape.group),
      outputs_(shape.num_output / shape.group),
      columns_(taps_ * inputs_),
      pixels_(shape.num * shape.out_pixels()),
      block_(WordsOf(CeilDiv(pixels_, CeilDiv(pixels_, kBlock<Value>))) *
             kPerWord<Value>),
      blocks_(CeilDiv(pixels_, block_)),
      stretch_(StretchOf(shape, width_)) {
  const int64_t parts = shape.group * CeilDiv(columns_, kColumns) *
                        CeilDiv(outputs_, kPartOutputs);
  slices_ = SliceCount(parts, blocks_, kSliceBlocks, shape.weight_count());
}

template <typename Value>
typename ConvWeightGradient<Value>::Split
ConvWeightGradient<Value>::ChooseSplit() const {
  Split split;
  split.inputs = inputs_;
  if (stretch_ == 1) {
    const int64_t even = CeilDiv(inputs_, CeilDiv(columns_, kColumns));
    split.inputs = std::min(CeilDiv(even, width_) * width_, inputs_);
  }
  split.columns = CeilDiv(inputs_, split.inputs);
  split.outputs =
      OutputsOfPart(outputs_, shape_.group * split.columns * slices_);
  split.rows = CeilDiv(outputs_, split.outputs);
  split.count = shape_.group * split.columns * split.rows;
  return split;
}

template <typename Value>
typename ConvWeightGradient<Value>::Part ConvWeightGradient<Value>::PartAt(
    const Split& split, int64_t index) const {
  const int64_t o = index % split.rows * split.outputs;
  const int64_t i = index / split.rows % split.columns * split.inputs;
  return {index / (split.rows * split.columns),
          {o, std::min(o + split.outputs, outputs_)},
          {i, std::min(i + split.inputs, inputs_)}};
}

// Of the pixels of a block, for a part with so many inputs. Returns which of
// them see anything: the ones before and behind see padding alone.
template <typename Value>
typename ConvWeightGradient<Value>::Range ConvWeightGradient<Value>::Locate(
    int64_t stretch, int64_t inputs, const Range& pixels, Place* places) const {
  const size_t last = shape_.axes.size() - 1;
  Range seen = {pixels.size(), 0};
  for (int64_t p = pixels.first; p < pixels.end;) {
    int64_t rest = p, rest_tap = stretch * stretch_, place = 0;
    int64_t stride = shape_.channels, column = 0, start = 0;
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
      const int64_t begin = std::min(std::max<int64_t>(0, -at), stretch_);
      const int64_t end = std::max(begin, std::min(axis.in - at, stretch_));
      *places++ = {place + at * shape_.channels,
                   static_cast<int32_t>(begin * inputs),
                   static_cast<int32_t>((inside ? end : begin) * inputs)};
      if (inside && end > begin) {
        const int64_t pixel = p + j - pixels.first;
        seen = {std::min(seen.first, pixel), pixel + 1};
      }
    }
    p += run;
  }
  return seen;
}

template <typename Value>
class ConvWeightGradient<Value>::Panels {
 public:
  // `x` begins at the part's channels.
  Panels(const ConvWeightGradient& gradient, const Value* x, const Part& part)
      : gradient_(gradient),
        x_(x),
        inputs_(part.inputs.size()),
        length_(gradient.stretch_ * inputs_),
        slots_(std::min(gradient.taps_ / gradient.stretch_,
                        kTogether * gradient.width_ + 1)),
        size_(gradient.block_ / kPerWord<Value> * gradient.width_ + 16),
        places_(slots_ * gradient.block_),
        pieces_(kTogether * gradient.width_),
        panels_(kTogether * size_) {}

  void Start(const Range& pixels) {
    pixels_ = pixels;
    std::fill_n(stretches_, slots_, -1);
  }

  // panel[w][j] = what its column j sees at the pixels of the block's word w, 0
  // behind the last. So many panels together that cache lines are read as
  // neighbours.
  void Pack(const Range& columns) {
    Piece* const end = Cut(columns);
    for (int64_t w = 0; w < words(); w += kRows) {
      const Range rows = {w, std::min(w + kRows, words())};
      for (const Piece* piece = pieces_.data(); piece != end; ++piece) {
        CopyPiece(*piece, rows);
      }
    }
    const int64_t rest = columns.size() % gradient_.width_;
    const int64_t pitch = PitchOf(rest);
    if (rest == pitch) return;
    float* row = panel(columns.size() / gradient_.width_);
    for (int64_t w = 0; w < words(); ++w, row += pitch) {
      std::fill(row + rest, row + pitch, 0.f);
    }
  }

  // From one row of a panel to the next.
  int64_t PitchOf(int64_t width) const {
    return CeilDiv(width, gradient_.kernel_.vector) * gradient_.kernel_.vector;
  }
  float* panel(int64_t index) const { return panels_.data() + index * size_; }
  // The words at which a panel's columns see anything.
  Range seen(int64_t index) const {
    const Range& seen = seen_[index];
    const int64_t unit = gradient_.unit();
    return {seen.first / kPerWord<Value> / unit * unit,
            gradient_.WordsOf(seen.end)};
  }
  int64_t words() const { return gradient_.WordsOf(pixels_.size()); }

 private:
  // Neighbouring columns of one panel and one stretch, from the stretch's
  // column `from` on.
  struct Piece {
    const Place* places;
    int64_t from, length;
    float* to;
    int64_t pitch;
  };

  Piece* Cut(const Range& columns) {
    const int64_t width = gradient_.width_;
    std::fill_n(seen_, kTogether, Range{pixels_.size(), 0});
    Piece* piece = pieces_.data();
    for (int64_t c = columns.first; c < columns.end; ++piece) {
      const int64_t at = c - columns.first, from = c % length_;
      const int64_t start = at / width * width;
      const int64_t wide = std::min(width, columns.size() - start);
      const int64_t length = std::min(length_ - from, start + wide - at);
      *piece = {PlacesOf(c / length_), from, length,
                panel(at / width) + at - start, PitchOf(wide)};
      const Range& places = seen_places_[c / length_ % slots_];
      Range* seen = seen_ + at / width;
      *seen = {std::min(seen->first, places.first),
               std::max(seen->end, places.end)};
      c += length;
    }
    return piece;
  }

  const Place* PlacesOf(int64_t stretch) {
    const int64_t slot = stretch % slots_;
    Place* places = places_.data() + slot * gradient_.block_;
    if (stretches_[slot] != stretch) {
      seen_places_[slot] = gradient_.Locate(stretch, inputs_, pixels_, places);
      stretches_[slot] = stretch;
    }
    return places;
  }

  void CopyPiece(const Piece& piece, const Range& rows) const {
    constexpr int64_t kValues = kPerWord<Value>;
    Value some[kValues][kMaxWidth];
    float* to = piece.to + rows.first * piece.pitch;
    for (int64_t w = rows.first; w < rows.end; ++w, to += piece.pitch) {
      const Value* values[kValues];
      for (int64_t k = 0; k < kValues; ++k) {
        values[k] = Seen(piece, w * kValues + k, some[k]);
      }
      Join(gradient_.amx_, values, piece.length, to);
    }
  }

  // What a piece sees at a pixel: made in `some` where part of it is padding.
  const Value* Seen(const Piece& piece, int64_t pixel, Value* some) const {
    static const Value kNothing[kMaxWidth] = {};
    const int64_t last = pixels_.size() - 1, end = piece.from + piece.length;
    if (pixel > last) return kNothing;
    const Value* const from = x_ + piece.from;
    const Place& place = piece.places[pixel];
    __builtin_prefetch(from + piece.places[std::min(pixel + kAhead, last)].at);
    if (piece.from >= place.begin && end <= place.end) return from + place.at;
    for (int64_t i = 0; i < piece.length; ++i) {
      const int64_t column = piece.from + i;
      const bool seen = column >= place.begin && column < place.end;
      some[i] = seen ? from[place.at + i] : Value(0.f);
    }
    return some;
  }

  const ConvWeightGradient& gradient_;
  const Value* const x_;
  const int64_t inputs_;
  const int64_t length_;  // columns of a stretch
  const int64_t slots_;
  const int64_t size_;           // floats of a panel
  const Scratch<Place> places_;  // of the stretches that were last used
  int64_t stretches_[kTogether * kMaxWidth + 1];  // which they are
  Range seen_places_[kTogether * kMaxWidth + 1];
  const Scratch<Piece> pieces_;
  const Scratch<float> panels_;
  Range seen_[kTogether];
  Range pixels_ = {0, 0};
};

// The left sides of products.
template <>
void ConvWeightGradient<float>::PackGradients(const float* dy, int64_t rows,
                                              int64_t pixels, float* packed,
                                              int64_t) const {
  PackTurned(kernel_, dy, shape_.num_output, rows, pixels, packed);
}
template <>
void ConvWeightGradient<Bf16>::PackGradients(const Bf16* dy, int64_t rows,
                                             int64_t pixels, float* packed,
                                             int64_t pitch) const {
  if (amx_) {
    amx_->turn(dy, shape_.num_output, rows, pixels, packed, pitch);
  } else {
    PackTurned(kernel_, dy, shape_.num_output, rows, pixels, packed);
  }
}

template <typename Value>
void ConvWeightGradient<Value>::AddUp(const Value* dy, const Value* x,
                                      const Part& part, const Range& blocks,
                                      const Sums& sums) const {
  const int64_t input = part.group * inputs_ + part.inputs.first;
  const int64_t rows = part.outputs.size();
  const int64_t columns = part.inputs.size() * taps_;
  const int64_t together = kTogether * width_;
  dy += part.group * outputs_ + part.outputs.first;
  Panels panels(*this, x + input, part);
  // An odd number of cache lines: rows do not drive each other out of L1.
  const int64_t pitch = WordsOf(block_) + (amx_ ? kLineFloats : 0);
  const Scratch<float> gradients(RoundUp(rows, unit()) * pitch);
  for (int64_t b = blocks.first; b < blocks.end; ++b) {
    const Range pixels = {b * block_, std::min((b + 1) * block_, pixels_)};
    panels.Start(pixels);
    const Value* const from = dy + pixels.first * shape_.num_output;
    PackGradients(from, rows, pixels.size(), gradients.data(), pitch);
    for (int64_t c = 0; c < columns; c += width_) {
      if (c % together == 0) panels.Pack({c, std::min(c + together, columns)});
      const int64_t index = c % together / width_;
      const int64_t width = std::min(width_, columns - c);
      const Range seen = panels.seen(index);
      PanelProduct product = {
          gradients.data(),
          amx_ ? pitch : panels.words(),
          rows,
          panels.panel(index) + seen.first * panels.PitchOf(width),
          width,
          std::max<int64_t>(0, seen.size()),
          sums.data + c,
          sums.pitch,
          sums.add || b > blocks.first};
      product.first = seen.first;
      product.turned = !amx_;
      if (amx_) {
        Multiply(*amx_, product);
      } else {
        Multiply(kernel_, product);
      }
    }
  }
}

// Where a part's sums begin in those of a slice.
template <typename Value>
int64_t ConvWeightGradient<Value>::SumsOffset(const Part& part) const {
  return (part.group * outputs_ + part.outputs.first) * columns_ +
         part.outputs.size() * taps_ * part.inputs.first;
}

// Writes or adds the slices' sums of some of the part's outputs to the weights'
// gradient. `sums` begins at the part's.
template <typename Value>
void ConvWeightGradient<Value>::Finish(const Part& part, const Range& outputs,
                                       const float* sums, float* dw,
                                       bool add) const {
  const int64_t inputs = part.inputs.size(), columns = inputs * taps_;
  const Scratch<float> total(slices_ > 1 ? columns : 0);
  for (int64_t o = outputs.first; o < outputs.end; ++o) {
    const float* row = sums + (o - part.outputs.first) * columns;
    if (slices_ > 1) {
      std::copy_n(row, columns, total.data());
      for (int64_t s = 1; s < slices_; ++s) {
        const float* from = row + s * shape_.weight_count();
        for (int64_t c = 0; c < columns; ++c) total.data()[c] += from[c];
      }
      row = total.data();
    }
    const int64_t weight =
        ((part.group * outputs_ + o) * inputs_ + part.inputs.first) * taps_;
    // The next output's.
    for (int64_t c = 0; c < columns; c += 16) {
      __builtin_prefetch(dw + weight + columns_ + c, 1);
    }
    PutTaps({row, inputs, taps_, inputs}, dw + weight, add);
  }
}

template <typename Value>
void ConvWeightGradient<Value>::Run(const Value* dy, const Value* x, float* dw,
                                    bool add) const {
  const Split split = ChooseSplit();
  const int64_t count = shape_.weight_count();
  const Scratch<float> sums(slices_ > 1 ? slices_ * count : 0);
  ParallelFor(split.count * slices_, [&](int64_t index) {
    const Part part = PartAt(split, index / slices_);
    const int64_t s = index % slices_;
    const Range blocks = {s * blocks_ / slices_, (s + 1) * blocks_ / slices_};
    const int64_t columns = part.inputs.size() * taps_;
    if (slices_ > 1) {
      float* to = sums.data() + s * count + SumsOffset(part);
      AddUp(dy, x, part, blocks, {to, columns, false});
    } else if (taps_ == 1) {
      const int64_t o = part.group * outputs_ + part.outputs.first;
      AddUp(dy, x, part, blocks,
            {dw + o * columns_ + part.inputs.first, columns_, add});
    } else {
      const Scratch<float> own(part.outputs.size() * columns);
      AddUp(dy, x, part, blocks, {own.data(), columns, false});
      Finish(part, part.outputs, own.data(), dw, add);
    }
  });
  if (slices_ == 1) return;
  const int64_t rows = RowsPerRange(split.inputs * taps_ * slices_);
  const int64_t ranges = CeilDiv(split.outputs, rows);
  ParallelFor(split.count * ranges, [&](int64_t index) {
    const Part part = PartAt(split, index / ranges);
    const int64_t first = part.outputs.first + index % ranges * rows;
    Finish(part, {first, std::min(first + rows, part.outputs.end)},
           sums.data() + SumsOffset(part), dw, add);
  });
}

template class ConvWeightGradient<float>;
template class ConvWeightGradient<Bf16>;

}  // namespace p3d
