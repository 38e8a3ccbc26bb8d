#include "kernels/conv/conv_winograd.hpp"

#include <utility>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_winograd_loops.hpp"
#include "kernels/conv/panel_conv.hpp"

namespace p3d {
namespace {

class WinogradConv : public PanelConv {
 public:
  WinogradConv(const WinogradKernel& kernel, const WeightPanels& panels,
               std::unique_ptr<const WinogradLoops<float>> loops)
      : PanelConv(panels), kernel_(kernel), loops_(std::move(loops)) {}

  bool Pays() const { return loops_->Pays(); }

  const char* name() const override { return kernel_.name; }
  int64_t workspace_size() const override { return 0; }
  void Run(const float* x, const float* packed, const ConvEpilogue& epilogue,
           float* y, float*, const NextWeights& next) const override {
    loops_->Run(x, packed, epilogue, y, next);
  }

 private:
  const WinogradKernel& kernel_;
  const std::unique_ptr<const WinogradLoops<float>> loops_;
};

std::unique_ptr<WinogradConv> Make(const ConvShape& shape, Isa isa) {
  const WinogradKernel* kernel = WinogradKernelFor(isa);
  if (kernel == nullptr) return nullptr;
  const IgemmKernel& products = IgemmKernelFor(shape, isa);
  const WeightPanels panels(1, shape.channels, shape.num_output, kWinogradTaps,
                            products.vector, products.vectors);
  auto loops = WinogradLoops<float>::Create(shape, panels, products, *kernel);
  if (!loops) return nullptr;
  return std::unique_ptr<WinogradConv>(
      new WinogradConv(*kernel, panels, std::move(loops)));
}

}  // namespace

const WinogradKernel* WinogradKernelFor(Isa isa) {
  switch (isa) {
    case Isa::kAmx:
    case Isa::kAvx512:
      return WinogradKernelAvx512();
    case Isa::kAvx2:
      return WinogradKernelAvx2();
    case Isa::kGeneric:
      break;
  }
  return WinogradKernelGeneric();
}

std::unique_ptr<Conv> CreateConvWinograd(const ConvShape& shape, Isa isa) {
  std::unique_ptr<WinogradConv> conv = Make(shape, isa);
  return conv && conv->Pays() ? std::move(conv) : nullptr;
}

std::unique_ptr<Conv> CreateConvWinogradAnyway(const ConvShape& shape,
                                               Isa isa) {
  return Make(shape, isa);
}

}  // namespace p3d
