#include "kernels/conv_bf16_winograd.hpp"

#include <utility>

#include "kernels/conv_bf16_kernels.hpp"
#include "kernels/conv_bf16_panels.hpp"
#include "kernels/conv_winograd_loops.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

using Kernel = WinogradKernelOf<Bf16>;
using Loops = WinogradLoops<Bf16>;

constexpr int64_t kPositions = kWinogradPositions;
constexpr int64_t kTaps = kWinogradTaps;

// G times a column, whose values lie `step` apart, as those of the result.
void TransformColumn(const float* g, int step, float* u) {
  const float a = g[0], b = g[step], c = g[2 * step];
  u[0] = a;
  u[step] = .5f * (a + c) + .5f * b;
  u[2 * step] = .5f * (a + c) - .5f * b;
  u[3 * step] = c;
}

// G g G^T
void TransformKernel(const float* g, float* u) {
  float rows[4 * 3];
  for (int j = 0; j < 3; ++j) TransformColumn(g + j, 3, rows + j);
  for (int i = 0; i < 4; ++i) TransformColumn(rows + 3 * i, 1, u + 4 * i);
}

class Bf16Winograd : public Bf16PanelConv<Bf16> {
 public:
  Bf16Winograd(const ConvShape& shape, const Kernel& kernel,
               const WeightPanels& panels, std::unique_ptr<const Loops> loops)
      : Bf16PanelConv(kernel.name, panels),
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
    const float* const from = weights + o * channels_ * kTaps;
    for (int64_t i = 0; i < channels_; i += 2) {
      float u[2][kPositions] = {};
      TransformKernel(from + i * kTaps, u[0]);
      if (i + 1 < channels_) TransformKernel(from + (i + 1) * kTaps, u[1]);
      for (int64_t p = 0; p < kPositions; ++p) {
        *words++ = Bf16Pair(u[0][p], u[1][p]);
      }
    }
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
  return std::unique_ptr<const Bf16Conv>(
      new Bf16Winograd(shape, *kernels.winograd, panels, std::move(loops)));
}

}  // namespace

std::unique_ptr<const Bf16Conv> CreateBf16WinogradAnyway(const ConvShape& shape,
                                                         Isa isa) {
  return Make(shape, isa, true);
}

std::unique_ptr<const Bf16Conv> CreateBf16Winograd(const ConvShape& shape,
                                                   Isa isa) {
  return Make(shape, isa, false);
}

}  // namespace p3d
