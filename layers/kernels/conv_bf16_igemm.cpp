#include "kernels/conv_bf16_igemm.hpp"

#include <cstring>
#include <utility>

#include "kernels/conv_bf16_kernels.hpp"
#include "kernels/conv_bf16_panels.hpp"
#include "kernels/conv_igemm_loops.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

using Kernel = IgemmKernelOf<Bf16>;
using Loops = IgemmLoops<Bf16>;

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

class Bf16Igemm : public Bf16PanelConv {
 public:
  Bf16Igemm(const ConvShape& shape, const Kernel& kernel,
            const WeightPanels& panels, std::unique_ptr<const Loops> loops)
      : Bf16PanelConv(kernel.name, panels),
        shape_(shape),
        loops_(std::move(loops)) {}

  void Pack(const float* weights, float* packed) const override;
  int64_t workspace_size() const override {
    return input_words() + loops_->workspace_size();
  }
  void Run(const Bf16* x, const float* packed, const Epilogue<Bf16>& epilogue,
           Bf16* y, float* workspace, const NextWeights& next) const override;

 private:
  int64_t input_words() const;

  const ConvShape shape_;
  const std::unique_ptr<const Loops> loops_;
};

// Whole cache lines of the input where it is filled up, else 0.
int64_t Bf16Igemm::input_words() const {
  if (shape_.channels % 2 == 0) return 0;
  const int64_t pixels = shape_.num * shape_.in_pixels();
  return RoundUp(pixels * Paired(shape_).channels, kLineFloats);
}

void Bf16Igemm::Pack(const float* weights, float* packed) const {
  const int64_t taps = shape_.taps();
  const int64_t inputs = shape_.channels / shape_.group;
  const auto write = [&](int64_t o, float* words) {
    const float* const from = weights + o * inputs * taps;
    for (int64_t i = 0; i < inputs; i += 2) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const float second = i + 1 < inputs ? from[(i + 1) * taps + tap] : 0.f;
        *words++ = Bf16Pair(from[i * taps + tap], second);
      }
    }
  };
  PackWords(write, packed);
}

void Bf16Igemm::Run(const Bf16* x, const float* packed,
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

}  // namespace

std::unique_ptr<const Bf16Conv> CreateBf16Igemm(const ConvShape& shape,
                                                Isa isa) {
  const int64_t inputs = shape.channels / shape.group;
  if (shape.group > 1 && inputs % 2 != 0) return nullptr;
  const int64_t outputs = shape.num_output / shape.group;
  const Kernel& kernel = Holding(outputs, Bf16KernelsFor(isa).igemm);
  const WeightPanels panels(shape.group, CeilDiv(inputs, 2), outputs,
                            shape.taps(), kernel.vector, kernel.vectors);
  auto loops = Loops::Create(Paired(shape), panels, kernel);
  if (!loops) return nullptr;
  return std::unique_ptr<const Bf16Conv>(
      new Bf16Igemm(shape, kernel, panels, std::move(loops)));
}

}  // namespace p3d
