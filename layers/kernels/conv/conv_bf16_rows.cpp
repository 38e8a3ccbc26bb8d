#include "kernels/conv/conv_bf16_rows.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/conv/conv_bf16_loops.hpp"
#include "kernels/conv/conv_bf16_panels.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// The same convolution of pairs along the last axis, whose padding is there.
ConvShape InRows(ConvShape shape) {
  ConvAxis& axis = shape.axes.back();
  const int64_t out = axis.out();
  axis.kernel = CeilDiv(axis.kernel * shape.channels, 2);
  axis.stride = axis.stride / 2 * shape.channels;
  axis.in = (out - 1) * axis.stride + axis.kernel;
  axis.pad_begin = axis.pad_end = 0;
  shape.channels = 1;
  return shape;
}

template <typename Out>
class Bf16Rows : public Bf16PanelConv<Out> {
 public:
  using Loops = ConvLoops<Out>;

  Bf16Rows(const char* name, const ConvShape& shape, const WeightPanels& panels,
           Isa isa, std::unique_ptr<const Loops> loops)
      : Bf16PanelConv<Out>(name, panels, isa),
        shape_(shape),
        rows_(InRows(shape)),
        loops_(std::move(loops)) {}

  void Pack(const float* weights, float* packed) const override;
  int64_t workspace_size() const override {
    return row_words() + loops_->workspace_size();
  }
  void Run(const Bf16* x, const float* packed, const Epilogue<Out>& epilogue,
           Out* y, float* workspace, const NextWeights& next) const override {
    CopyRows(x, workspace);
    loops_->Run(workspace, packed, epilogue, y, workspace + row_words(), next);
  }

 private:
  // Whole cache lines of all rows.
  int64_t row_words() const {
    return RoundUp(rows_.num * rows_.in_pixels(), kLineFloats);
  }
  void CopyRows(const Bf16* x, float* words) const;

  const ConvShape shape_, rows_;
  const std::unique_ptr<const Loops> loops_;
};

// A row of taps is that of an input, filled up to whole pairs.
template <typename Out>
void Bf16Rows<Out>::Pack(const float* weights, float* packed) const {
  const int64_t width = shape_.axes.back().kernel, taps = shape_.taps();
  const int64_t channels = shape_.channels;
  const auto write = [&](int64_t o, float* words) {
    const float* const from = weights + o * channels * taps;
    for (int64_t row = 0; row < taps; row += width) {
      const auto at = [&](int64_t i) {
        if (i >= width * channels) return 0.f;
        return from[i % channels * taps + row + i / channels];
      };
      for (int64_t i = 0; i < width * channels; i += 2) {
        *words++ = Bf16Pair(at(i), at(i + 1));
      }
    }
  };
  this->PackWords(write, packed);
}

// With the padding of the last axis, as far as it is read.
template <typename Out>
void Bf16Rows<Out>::CopyRows(const Bf16* x, float* words) const {
  const ConvAxis& axis = shape_.axes.back();
  const int64_t pairs = rows_.axes.back().in;
  const int64_t row = axis.in * shape_.channels;
  const int64_t before = std::min(2 * pairs, axis.pad_begin * shape_.channels);
  const int64_t inside = std::min(row, 2 * pairs - before);
  const int64_t rows = rows_.num * rows_.in_pixels() / pairs;
  ParallelRanges(rows, RowsPerRange(pairs), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      char* to = reinterpret_cast<char*>(words + r * pairs);
      const size_t last = (2 * pairs - before - inside) * sizeof(Bf16);
      std::memset(to, 0, before * sizeof(Bf16));
      std::memcpy(to += before * sizeof(Bf16), x + r * row,
                  inside * sizeof(Bf16));
      std::memset(to + inside * sizeof(Bf16), 0, last);
    }
  });
}

}  // namespace

template <typename Out>
std::unique_ptr<const Bf16ConvTo<Out>> CreateBf16Rows(const ConvShape& shape,
                                                      Isa isa) {
  const ConvAxis& axis = shape.axes.back();
  // More padding than that would make gigabytes of the input.
  if ((axis.pad_begin + axis.pad_end) / 8 > axis.in + axis.kernel) {
    return nullptr;
  }
  if (shape.channels % 2 == 0 || axis.stride % 2 != 0 || axis.dilation != 1 ||
      shape.group != 1 || shape.pad_mode != PadMode::kZero) {
    return nullptr;
  }
  const ConvShape rows = InRows(shape);
  auto made = Bf16Loops<Out>::Create(rows, isa);
  if (!made.loops) return nullptr;
  return std::unique_ptr<const Bf16ConvTo<Out>>(new Bf16Rows<Out>(
      made.name, shape, made.panels, isa, std::move(made.loops)));
}

template std::unique_ptr<const Bf16ConvTo<Bf16>> CreateBf16Rows(
    const ConvShape&, Isa);
template std::unique_ptr<const Bf16ConvTo<float>> CreateBf16Rows(
    const ConvShape&, Isa);

}  // namespace p3d
