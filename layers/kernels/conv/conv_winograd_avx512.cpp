#include "kernels/conv/conv_winograd.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_winograd_f32-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_avx512", TransformInput,
                                TransformWeights, TransformOutput, kGradient};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const WinogradKernel* WinogradKernelAvx512() {
#if defined(__x86_64__)
  return &kKernel;
#else
  return nullptr;
#endif
}

}  // namespace p3d
