#include "kernels/conv/conv_igemm.hpp"

#include "kernels/conv/conv_igemm_loops.hpp"
#include "kernels/conv/conv_winograd_grid.hpp"
#include "kernels/conv/panel_conv.hpp"

namespace p3d {
namespace {

class IgemmConv : public PanelConv {
 public:
  IgemmConv(const IgemmKernel& kernel, const WeightPanels& panels,
            std::unique_ptr<const IgemmLoops<float>> loops)
      : PanelConv(panels), kernel_(kernel), loops_(std::move(loops)) {}

  const char* name() const override { return kernel_.name; }
  int64_t workspace_size() const override { return loops_->workspace_size(); }
  void Run(const float* x, const float* packed, const ConvEpilogue& epilogue,
           float* y, float* workspace, const NextWeights& next) const override {
    loops_->Run(x, packed, epilogue, y, workspace, next);
  }

 private:
  const IgemmKernel& kernel_;
  const std::unique_ptr<const IgemmLoops<float>> loops_;
};

// Depthwise, the many groups are the channels of one.
WeightPanels MakePanels(const ConvShape& shape, const IgemmKernel& kernel) {
  const int64_t groups = kernel.depthwise ? 1 : shape.group;
  return WeightPanels(groups, shape.channels / shape.group,
                      shape.num_output / groups, shape.taps(), kernel.vector,
                      kernel.vectors);
}

}  // namespace

const IgemmKernel* const* IgemmKernels(Isa isa) {
  switch (isa) {
    case Isa::kAmx:
    case Isa::kAvx512:
      return IgemmKernelsAvx512();
    case Isa::kAvx2:
      return IgemmKernelsAvx2();
    case Isa::kGeneric:
      break;
  }
  return IgemmKernelsGeneric();
}

// Weights that Winograd's products can take are many where outputs are: tiles
// of more rows, those of the narrowest panels, read them less often.
const IgemmKernel& IgemmKernelFor(const ConvShape& shape, Isa isa) {
  const int64_t kMany = 256;
  const int64_t outputs = shape.num_output / shape.group;
  const bool many = outputs >= kMany && WinogradGrid::CanDo(shape);
  return Holding(many ? 1 : outputs, IgemmKernels(isa) + 1);
}

std::unique_ptr<Conv> CreateConvIgemm(const ConvShape& shape, Isa isa) {
  const IgemmKernel* const depthwise_kernel = *IgemmKernels(isa);
  if (depthwise_kernel == nullptr) return nullptr;
  const bool depthwise = shape.group > 1 && shape.group == shape.channels &&
                         shape.group == shape.num_output;
  const IgemmKernel& kernel =
      depthwise ? *depthwise_kernel : IgemmKernelFor(shape, isa);
  const WeightPanels panels = MakePanels(shape, kernel);
  auto loops = IgemmLoops<float>::Create(shape, panels, kernel);
  if (!loops) return nullptr;
  return std::unique_ptr<Conv>(new IgemmConv(kernel, panels, std::move(loops)));
}

}  // namespace p3d
