#include "kernels/weight_gradient.hpp"

#include "kernels/conv_bf16_kernels.hpp"

namespace p3d {
namespace {

const IgemmKernel& Last(const IgemmKernel* const* kernel) {
  while (kernel[1]) ++kernel;
  return **kernel;
}

}  // namespace

template <>
const IgemmKernel& OuterKernel<float>(Isa isa) {
  return Last(IgemmKernels(isa));
}
template <>
const IgemmKernel& OuterKernel<Bf16>(Isa isa) {
  return Last(Bf16KernelsFor(isa).sums);
}

}  // namespace p3d
