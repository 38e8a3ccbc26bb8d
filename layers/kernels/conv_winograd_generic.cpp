#include "kernels/conv_winograd.hpp"

// Where the machine's baseline has fused multiplications (NEON), use them.
#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif

#include "kernels/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv_winograd_f32-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_generic", TransformInput,
                                TransformWeights, TransformOutput};

}  // namespace

const WinogradKernel* WinogradKernelGeneric() { return &kKernel; }

}  // namespace p3d

#ifndef __clang__
#pragma GCC pop_options
#endif
