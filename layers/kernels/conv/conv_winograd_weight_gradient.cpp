#include "kernels/conv/conv_winograd_weight_gradient.hpp"

#include <algorithm>
#include <utility>

#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/conv/panel_product.hpp"
#include "kernels/conv/put_taps.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

constexpr int64_t kPositions = kWinogradPositions;
constexpr int64_t kTaps = kWinogradTaps;

// Of a block: enough for long sums, few enough for the caches behind L1.
const int64_t kWords = 64;
const int64_t kInputs = 128;     // of a part
const int64_t kSliceBlocks = 3;  // at least

// Costs in products of words: of a sum's loading and storing in a block, of a
// tile's input and output channels' transforms, and of a weight's taps from the
// sums.
const double kSumCost = 4, kInputCost = 60, kOutputCost = 44, kTapsCost = 110;
// Of ConvWeightGradient: of a value that it gathers, and of a weight's taps.
const double kGatherCost = 28, kDirectTapsCost = 120;
// Less is not worth while: the costs are rough.
const double kLeastGain = 1.1;

// Pixels of a word's tiles.
constexpr int64_t kMaxPixels = 2 * kPositions;

const WinogradKernel* TransformsFor(Isa isa, float) {
  return WinogradKernelFor(isa);
}
const WinogradKernelOf<Bf16>* TransformsFor(Isa isa, Bf16) {
  return Bf16KernelsFor(isa).winograd;
}

// An odd number of cache lines: rows do not drive each other out of L1.
int64_t PitchOf(int64_t count) {
  return (CeilDiv(count, kLineFloats) | 1) * kLineFloats;
}

// How much of `count` a part has, if it is cut evenly.
int64_t Even(int64_t count, int64_t most) {
  return CeilDiv(count, CeilDiv(count, most));
}

}  // namespace

template <typename Value>
struct ConvWinogradWeightGradient<Value>::Block {
  Block(const Task& task, int64_t words)
      : u_pitch(PitchOf(task.outputs.size())),
        v_pitch(PitchOf(task.inputs.size())),
        u_step(words * u_pitch + kLineFloats),
        v_step(words * v_pitch + kLineFloats),
        m_step(task.outputs.size() * v_pitch + kLineFloats),
        zeros_size(std::max(u_pitch, v_pitch)),
        memory(zeros_size + kPositions * (u_step + v_step + m_step) +
               kTaps * v_pitch),
        zeros(memory.data()),
        u(zeros + zeros_size),
        v(u + kPositions * u_step),
        m(v + kPositions * v_step),
        taps(m + kPositions * m_step) {
    std::fill_n(zeros, zeros_size, 0.f);
  }

  // From word to word of outputs and of inputs, and from position to position.
  const int64_t u_pitch, v_pitch;
  const int64_t u_step, v_step, m_step;
  const int64_t zeros_size;
  const Scratch<float> memory;
  float* const zeros;
  float* const u;
  float* const v;
  float* const m;
  float* const taps;
};

template <typename Value>
std::unique_ptr<const ConvWinogradWeightGradient<Value>>
ConvWinogradWeightGradient<Value>::Make(const ConvShape& shape, Isa isa) {
  const auto* const transforms = TransformsFor(isa, Value());
  if (!transforms || !WinogradGrid::CanDo(shape)) return nullptr;
  return std::unique_ptr<const ConvWinogradWeightGradient>(
      new ConvWinogradWeightGradient(shape, *transforms, isa));
}

template <typename Value>
std::unique_ptr<const WeightGradient<Value>>
ConvWinogradWeightGradient<Value>::Create(const ConvShape& shape, Isa isa) {
  auto gradient = Make(shape, isa);
  if (!gradient || !gradient->Pays()) return nullptr;
  return std::unique_ptr<const WeightGradient<Value>>(std::move(gradient));
}

template <typename Value>
std::unique_ptr<const WeightGradient<Value>>
ConvWinogradWeightGradient<Value>::CreateAnyway(const ConvShape& shape,
                                                Isa isa) {
  return Make(shape, isa);
}

template <typename Value>
ConvWinogradWeightGradient<Value>::ConvWinogradWeightGradient(
    const ConvShape& shape, const WinogradKernelOf<Value>& transforms, Isa isa)
    : shape_(shape),
      products_(OuterKernel<Value>(isa)),
      transforms_(transforms.gradient),
      grid_(shape),
      words_(CeilDiv(grid_.tiles(), kPerWord<Value>)),
      block_(Even(words_, kWords)),
      blocks_(CeilDiv(words_, block_)) {
  const int64_t parts = CeilDiv(shape.num_output, kPartOutputs) *
                        CeilDiv(shape.channels, kInputs);
  slices_ = SliceCount(parts, blocks_, kSliceBlocks, shape.weight_count());
}

// In products of words.
template <typename Value>
double ConvWinogradWeightGradient<Value>::Cost() const {
  const double inputs = RoundUp(shape_.channels, products_.vector);
  const double outputs = shape_.num_output;
  const double rows = CeilDiv(shape_.num_output, kPartOutputs);
  const double columns = CeilDiv(shape_.channels, kInputs);
  const double tiles = words_ * kPerWord<Value>;
  return inputs * outputs *
             (kPositions * (words_ + blocks_ * kSumCost) +
              slices_ * kTapsCost) +
         tiles * (inputs * rows * kInputCost + outputs * columns * kOutputCost);
}

// Of ConvWeightGradient, which leaves out the padding.
template <typename Value>
double ConvWinogradWeightGradient<Value>::DirectCost() const {
  const double inputs = shape_.channels, outputs = shape_.num_output;
  const double columns = RoundUp(shape_.channels * kTaps, products_.vector);
  const double rows = CeilDiv(shape_.num_output, kPartOutputs);
  const double pixels = shape_.num * shape_.out_pixels();
  return (grid_.seen() / kTaps * columns * outputs +
          pixels * columns * rows * kGatherCost) /
             kPerWord<Value> +
         inputs * outputs * kDirectTapsCost;
}

template <typename Value>
bool ConvWinogradWeightGradient<Value>::Pays() const {
  return Cost() * kLeastGain < DirectCost();
}

template <typename Value>
typename ConvWinogradWeightGradient<Value>::Split
ConvWinogradWeightGradient<Value>::ChooseSplit() const {
  const int64_t width = products_.vectors * products_.vector;
  Split split;
  split.inputs =
      std::min(RoundUp(Even(shape_.channels, kInputs), width), shape_.channels);
  split.columns = CeilDiv(shape_.channels, split.inputs);
  split.outputs = OutputsOfPart(shape_.num_output, split.columns * slices_);
  split.rows = CeilDiv(shape_.num_output, split.outputs);
  return split;
}

template <typename Value>
typename ConvWinogradWeightGradient<Value>::Task
ConvWinogradWeightGradient<Value>::TaskAt(const Split& split,
                                          int64_t index) const {
  const int64_t slice = index % slices_;
  const int64_t part = index / slices_;
  const int64_t o = part % split.rows * split.outputs;
  const int64_t i = part / split.rows * split.inputs;
  return {{o, std::min(o + split.outputs, shape_.num_output)},
          {i, std::min(i + split.inputs, shape_.channels)},
          {slice * blocks_ / slices_, (slice + 1) * blocks_ / slices_}};
}

template <typename Value>
void ConvWinogradWeightGradient<Value>::RunTask(const Task& task,
                                                const Value* dy, const Value* x,
                                                float* dw, bool add) const {
  const Block block(task, block_);
  for (int64_t b = task.blocks.first; b < task.blocks.end; ++b) {
    const Range words = {b * block_, std::min((b + 1) * block_, words_)};
    Transform(task, words, dy, x, block);
    AddUp(task, words.size(), b > task.blocks.first, block);
  }
  Finish(task, block, dw, add);
}

template <typename Value>
void ConvWinogradWeightGradient<Value>::Transform(const Task& task,
                                                  const Range& words,
                                                  const Value* dy,
                                                  const Value* x,
                                                  const Block& block) const {
  constexpr int64_t kTiles = kPerWord<Value>;
  const Value* const zeros = reinterpret_cast<const Value*>(block.zeros);
  const int64_t first = words.first * kTiles;
  const int64_t tiles = std::min(words.end * kTiles, grid_.tiles()) - first;
  WinogradGrid::Tile tile = grid_.At(first);
  for (int64_t w = 0; w < words.size(); ++w) {
    const Value* inputs[kMaxPixels];
    const Value* outputs[kMaxPixels];
    std::fill_n(inputs, kTiles * kPositions, zeros);
    std::fill_n(outputs, kTiles * 4, zeros);
    for (int64_t k = 0; k < kTiles && w * kTiles + k < tiles; ++k) {
      int64_t places[4];
      grid_.LocateInputs(tile, x + task.inputs.first, zeros,
                         inputs + k * kPositions);
      grid_.LocateOutputs(tile, places);
      for (int64_t i = 0; i < 4; ++i) {
        if (places[i] < 0) continue;
        outputs[k * 4 + i] = dy + task.outputs.first + places[i];
      }
      grid_.Next(&tile);
    }
    transforms_.input({inputs, task.inputs.size(), block.v + w * block.v_pitch,
                       block.v_step});
    transforms_.output({outputs, task.outputs.size(),
                        block.u + w * block.u_pitch, block.u_step});
  }
}

template <typename Value>
void ConvWinogradWeightGradient<Value>::AddUp(const Task& task, int64_t words,
                                              bool add,
                                              const Block& block) const {
  for (int64_t p = 0; p < kPositions; ++p) {
    Multiply(products_,
             OuterProduct{block.u + p * block.u_step, block.u_pitch,
                          task.outputs.size(), block.v + p * block.v_step,
                          block.v_pitch, task.inputs.size(), words,
                          block.m + p * block.m_step, block.v_pitch, add});
  }
}

template <typename Value>
void ConvWinogradWeightGradient<Value>::Finish(const Task& task,
                                               const Block& block, float* dw,
                                               bool add) const {
  const int64_t inputs = task.inputs.size();
  const int64_t count = RoundUp(inputs, kLineFloats);
  for (int64_t o = 0; o < task.outputs.size(); ++o) {
    transforms_.taps({block.m + o * block.v_pitch, block.m_step, count,
                      block.taps, block.v_pitch});
    const int64_t weight =
        (task.outputs.first + o) * shape_.channels + task.inputs.first;
    // The next output's.
    for (int64_t c = 0; c < inputs * kTaps; c += kLineFloats) {
      __builtin_prefetch(dw + (weight + shape_.channels) * kTaps + c, 1);
    }
    PutTaps({block.taps, block.v_pitch, kTaps, inputs}, dw + weight * kTaps,
            add);
  }
}

template <typename Value>
void ConvWinogradWeightGradient<Value>::Run(const Value* dy, const Value* x,
                                            float* dw, bool add) const {
  const Split split = ChooseSplit();
  const int64_t count = shape_.weight_count();
  const Scratch<float> sums(slices_ > 1 ? slices_ * count : 0);
  ParallelFor(split.rows * split.columns * slices_, [&](int64_t index) {
    const Task task = TaskAt(split, index);
    if (slices_ > 1) {
      RunTask(task, dy, x, sums.data() + index % slices_ * count, false);
    } else {
      RunTask(task, dy, x, dw, add);
    }
  });
  if (slices_ == 1) return;
  ParallelRanges(count, RowsPerRange(slices_), [&](int64_t begin, int64_t end) {
    for (int64_t s = 0; s < slices_; ++s) {
      const float* const from = sums.data() + s * count;
      if (s == 0 && !add) {
        std::copy(from + begin, from + end, dw + begin);
      } else {
        for (int64_t i = begin; i < end; ++i) dw[i] += from[i];
      }
    }
  });
}

template class ConvWinogradWeightGradient<float>;
template class ConvWinogradWeightGradient<Bf16>;

}  // namespace p3d
