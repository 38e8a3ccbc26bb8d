#include "kernels/conv/conv_bf16_winograd.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/conv/conv_bf16_amx.hpp"
#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/conv/conv_bf16_panels.hpp"
#include "kernels/conv/conv_winograd_loops.hpp"
#include "kernels/conv/tap_copy-inl.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

using Kernel = WinogradKernelOf<Bf16>;
using Loops = WinogradLoops<Bf16>;

constexpr int64_t kPositions = kWinogradPositions;
constexpr int64_t kTaps = kWinogradTaps;

// G times a column, whose values lie `step` apart, as those of the result.
template <typename Values>
inline void TransformColumn(const Values* g, int step, Values* u) {
  const Values a = g[0], b = g[step], c = g[2 * step];
  u[0] = a;
  u[step] = .5f * (a + c) + .5f * b;
  u[2 * step] = .5f * (a + c) - .5f * b;
  u[3 * step] = c;
}

// G g G^T
template <typename Values>
inline void TransformKernel(const Values* g, Values* u) {
  Values rows[4 * 3];
  for (int j = 0; j < 3; ++j) TransformColumn(g + j, 3, rows + j);
  for (int i = 0; i < 4; ++i) TransformColumn(rows + 3 * i, 1, u + 4 * i);
}

// Of four kernels, one behind the other.
inline void TransformFour(const float* g, float* u) {
  Float4 taps[12], positions[kPositions];
  for (int k : {0, 4, 5}) {
    Float4 v[4];
    for (int c = 0; c < 4; ++c) v[c] = Load4<Float4>(g + c * kTaps + k);
    Transpose4(v);
    std::copy_n(v, 4, taps + k);
  }
  TransformKernel(taps, positions);
  for (int p = 0; p < kPositions; p += 4) {
    Float4 v[4];
    std::copy_n(positions + p, 4, v);
    Transpose4(v);
    for (int c = 0; c < 4; ++c) {
      std::memcpy(u + c * kPositions + p, &v[c], sizeof(v[c]));
    }
  }
}

void TransformKernels(const float* g, int64_t count, float* u) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    TransformFour(g + i * kTaps, u + i * kPositions);
  }
  for (; i < count; ++i) TransformKernel(g + i * kTaps, u + i * kPositions);
}

class Bf16Winograd : public Bf16PanelConv<Bf16> {
 public:
  Bf16Winograd(const ConvShape& shape, const Kernel& kernel,
               const WeightPanels& panels, Isa isa,
               std::unique_ptr<const Loops> loops)
      : Bf16PanelConv(kernel.name, panels, isa),
        channels_(shape.channels),
        loops_(std::move(loops)) {}

  void Pack(const float* weights, float* packed) const override;
  int64_t workspace_size() const override { return 0; }
  void Run(const Bf16* x, const float* packed, const Epilogue<Bf16>& epilogue,
           Bf16* y, float*, const NextWeights& next) const override {
    loops_->Run(x, packed, epilogue, y, next);
  }

 private:
  const int64_t channels_;
  const std::unique_ptr<const Loops> loops_;
};

void Bf16Winograd::Pack(const float* weights, float* packed) const {
  const auto write = [&](int64_t o, float* words) {
    const Scratch<float> kernels(channels_ * kPositions);
    TransformKernels(weights + o * channels_ * kTaps, channels_,
                     kernels.data());
    PairRows(kernels.data(), channels_, kPositions, words);
  };
  PackWords(write, packed);
}

std::unique_ptr<const Bf16Conv> Make(const ConvShape& shape, Isa isa,
                                     bool anyway) {
  const Bf16Kernels& kernels = Bf16KernelsFor(isa);
  const IgemmKernel& products = Holding(shape.num_output, kernels.sums);
  const WeightPanels panels(1, CeilDiv(shape.channels, 2), shape.num_output,
                            kPositions, products.vector, products.vectors);
  auto loops = Loops::Create(shape, panels, products, *kernels.winograd);
  if (!loops || !(anyway || loops->PaysInside())) return nullptr;
  return std::unique_ptr<const Bf16Conv>(new Bf16Winograd(
      shape, *kernels.winograd, panels, isa, std::move(loops)));
}

}  // namespace

std::unique_ptr<const Bf16Conv> CreateBf16WinogradAnyway(const ConvShape& shape,
                                                         Isa isa) {
  return Make(shape, isa, true);
}

std::unique_ptr<const Bf16Conv> CreateBf16Winograd(const ConvShape& shape,
                                                   Isa isa) {
  // Transforming takes matrix registers longer than it saves.
  return AmxKernelsFor(isa) ? nullptr : Make(shape, isa, false);
}

}  // namespace p3d
