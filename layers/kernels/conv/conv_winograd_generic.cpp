#include "kernels/conv/conv_winograd.hpp"

#include "kernels/cpu/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_winograd_f32-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_generic", TransformInput,
                                TransformWeights, TransformOutput, kGradient};

}  // namespace

const WinogradKernel* WinogradKernelGeneric() { return &kKernel; }

}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"
