#include "kernels/conv/conv_bf16_igemm.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/conv/conv_bf16_loops.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// The same convolution of pairs of channels.
ConvShape Paired(ConvShape shape) {
  shape.channels = shape.group * CeilDiv(shape.channels / shape.group, 2);
  return shape;
}

// An odd number of channels is filled up by one that is zero.
void FillUp(const Bf16* x, int64_t pixels, int64_t channels, float* words) {
  const int64_t pairs = channels / 2;
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const Bf16* const from = x + p * channels;
      float* const to = words + p * (pairs + 1);
      std::memcpy(to, from, pairs * sizeof(float));
      to[pairs] = Bf16Pair(from[channels - 1], Bf16(0));
    }
  };
  ParallelRanges(pixels, RowsPerRange(channels), body);
}

}  // namespace

template <typename Out>
Bf16Igemm<Out>::Bf16Igemm(const char* name, const ConvShape& shape,
                          const WeightPanels& panels, Isa isa,
                          std::unique_ptr<const Loops> loops)
    : Bf16PanelConv<Out>(name, panels, isa),
      shape_(shape),
      loops_(std::move(loops)) {}

template <typename Out>
std::unique_ptr<const Bf16Igemm<Out>> Bf16Igemm<Out>::Create(
    const ConvShape& shape, Isa isa) {
  const int64_t inputs = shape.channels / shape.group;
  if (shape.group > 1 && inputs % 2 != 0) return nullptr;
  auto made = Bf16Loops<Out>::Create(Paired(shape), isa);
  if (!made.loops) return nullptr;
  return std::unique_ptr<const Bf16Igemm>(
      new Bf16Igemm(made.name, shape, made.panels, isa, std::move(made.loops)));
}

// Whole cache lines of the input where it is filled up, else 0.
template <typename Out>
int64_t Bf16Igemm<Out>::input_words() const {
  if (shape_.channels % 2 == 0) return 0;
  const int64_t pixels = shape_.num * shape_.in_pixels();
  return RoundUp(pixels * Paired(shape_).channels, kLineFloats);
}

template <typename Out>
void Bf16Igemm<Out>::Pack(const float* weights, float* packed) const {
  const int64_t taps = shape_.taps();
  const int64_t inputs = shape_.channels / shape_.group;
  const auto write = [&](int64_t o, float* words) {
    this->PairRows(weights + o * inputs * taps, inputs, taps, words);
  };
  this->PackWords(write, packed);
}

// Neighbouring inputs are neighbouring outputs of the other convolution, whose
// weights lie far apart.
template <typename Out>
void Bf16Igemm<Out>::PackMirrored(const float* weights,
                                  const std::vector<int64_t>& taps,
                                  int64_t all_taps, float* packed) const {
  const int64_t inputs = shape_.channels / shape_.group;
  const int64_t pairs = this->panels().inputs();
  const int64_t row = this->panels().outputs() * all_taps;
  const Scratch<float> words(shape_.group * pairs * row);
  ParallelFor(shape_.group * pairs, [&](int64_t index) {
    const int64_t i = index % pairs * 2;
    this->PairRows(weights + (index / pairs * inputs + i) * row,
                   std::min<int64_t>(2, inputs - i), row,
                   words.data() + index * row);
  });
  this->panels().PackMirrored(words.data(), taps, all_taps, packed);
}

template <typename Out>
void Bf16Igemm<Out>::Run(const Bf16* x, const float* packed,
                         const Epilogue<Out>& epilogue, Out* y,
                         float* workspace, const NextWeights& next) const {
  const float* words = reinterpret_cast<const float*>(x);
  if (input_words() > 0) {
    FillUp(x, shape_.num * shape_.in_pixels(), shape_.channels, workspace);
    words = workspace;
    workspace += input_words();
  }
  loops_->Run(words, packed, epilogue, y, workspace, next);
}

template class Bf16Igemm<Bf16>;
template class Bf16Igemm<float>;

}  // namespace p3d
