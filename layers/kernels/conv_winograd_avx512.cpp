#include "kernels/conv_winograd.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
// Some versions' own intrinsics trip over these two.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "kernels/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv_winograd_f32-inl.hpp"

const WinogradKernel kKernel = {"conv_f32_winograd_2x2_avx512", TransformInput,
                                TransformWeights, TransformOutput};

}  // namespace
}  // namespace p3d

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif

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
