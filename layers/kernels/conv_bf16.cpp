#include "kernels/conv_bf16.hpp"

#include <cstring>
#include <utility>

#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// The best that the machine has of `isa` and what is below it.
const IgemmKernelOf<Bf16>* const* Kernels(Isa isa) {
  if (isa >= Isa::kAvx512 && *Bf16KernelsAvx512()) return Bf16KernelsAvx512();
  if (isa >= Isa::kAvx2 && *Bf16KernelsAvx2()) return Bf16KernelsAvx2();
  return Bf16KernelsGeneric();
}

// Two values side by side as they lie in memory.
float Word(Bf16 first, Bf16 second) {
  const Bf16 pair[] = {first, second};
  float word;
  std::memcpy(&word, pair, sizeof(word));
  return word;
}

// The same convolution of pairs of channels.
ConvShape Paired(ConvShape shape) {
  shape.channels = shape.group * CeilDiv(shape.channels / shape.group, 2);
  return shape;
}

// An odd number of channels is filled up by one that is zero.
void FillUp(const Bf16* x, int64_t pixels, int64_t channels, float* words) {
  const int64_t pairs = channels / 2;
  ParallelRanges(pixels, RowsPerRange(channels),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t p = begin; p < end; ++p) {
                     const Bf16* const from = x + p * channels;
                     float* const to = words + p * (pairs + 1);
                     std::memcpy(to, from, pairs * sizeof(float));
                     to[pairs] = Word(from[channels - 1], Bf16(0));
                   }
                 });
}

}  // namespace

bool MultipliesBf16() {
  return ActiveIsa() == Isa::kAvx512 && *Bf16KernelsAvx512();
}

std::unique_ptr<const Bf16Conv> Bf16Conv::Create(const ConvShape& shape,
                                                 Isa isa) {
  CheckConvShape(shape);
  const int64_t inputs = shape.channels / shape.group;
  if (shape.group > 1 && inputs % 2 != 0) return nullptr;
  const int64_t outputs = shape.num_output / shape.group;
  const IgemmKernelOf<Bf16>& kernel = Holding(outputs, Kernels(isa));
  const WeightPanels panels(shape.group, CeilDiv(inputs, 2), outputs,
                            shape.taps(), kernel.vector, kernel.vectors);
  auto loops = Loops::Create(Paired(shape), panels, kernel);
  if (!loops) return nullptr;
  return std::unique_ptr<const Bf16Conv>(
      new Bf16Conv(shape, kernel, panels, std::move(loops)));
}

Bf16Conv::Bf16Conv(const ConvShape& shape, const IgemmKernelOf<Bf16>& kernel,
                   const WeightPanels& panels,
                   std::unique_ptr<const Loops> loops)
    : shape_(shape),
      kernel_(kernel),
      panels_(panels),
      loops_(std::move(loops)) {}

// Whole cache lines of the input where it is filled up, else 0.
int64_t Bf16Conv::input_words() const {
  if (shape_.channels % 2 == 0) return 0;
  constexpr int64_t kLine = 16;
  return CeilDiv(shape_.num * shape_.in_pixels() * Paired(shape_).channels,
                 kLine) *
         kLine;
}

int64_t Bf16Conv::workspace_size() const {
  return input_words() + loops_->workspace_size();
}

uint64_t Bf16Conv::pack_key() const {
  // Odd inputs have one more, of zeros, in the same layout.
  return panels_.key() * 2 + 1;
}

void Bf16Conv::Pack(const float* weights, float* packed) const {
  const int64_t taps = shape_.taps();
  const int64_t inputs = shape_.channels / shape_.group;
  const int64_t pairs = CeilDiv(inputs, 2);
  const Scratch<float> words(shape_.num_output * pairs * taps);
  ParallelFor(shape_.num_output, [&](int64_t o) {
    const float* const from = weights + o * inputs * taps;
    float* const to = words.data() + o * pairs * taps;
    for (int64_t i = 0; i < inputs; i += 2) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const float second = i + 1 < inputs ? from[(i + 1) * taps + tap] : 0.f;
        to[i / 2 * taps + tap] = Word(from[i * taps + tap], second);
      }
    }
  });
  panels_.Pack(words.data(), packed);
}

void Bf16Conv::Run(const Bf16* x, const float* packed,
                   const Epilogue<Bf16>& epilogue, Bf16* y, float* workspace,
                   const NextWeights& next) const {
  const float* words = reinterpret_cast<const float*>(x);
  if (input_words() > 0) {
    FillUp(x, shape_.num * shape_.in_pixels(), shape_.channels, workspace);
    words = workspace;
    workspace += input_words();
  }
  loops_->Run(words, packed, epilogue, y, workspace, next);
}

}  // namespace p3d
