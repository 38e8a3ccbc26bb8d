#include "kernels/conv/weight_gradient.hpp"

#include <algorithm>

#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Fewer outputs would not repay what is made of the inputs.
const int64_t kLeastOutputs = 32;
const int64_t kSlices = 16;
const int64_t kSliceFloats = 4 << 20;

const IgemmKernel& Last(const IgemmKernel* const* kernel) {
  while (kernel[1]) ++kernel;
  return **kernel;
}

}  // namespace

int64_t OutputsOfPart(int64_t outputs, int64_t others) {
  int64_t part = CeilDiv(outputs, CeilDiv(outputs, kPartOutputs));
  while (part >= 2 * kLeastOutputs &&
         others * CeilDiv(outputs, part) < 2 * NumThreads()) {
    part = CeilDiv(part, 2);
  }
  return part;
}

int64_t SliceCount(int64_t parts, int64_t blocks, int64_t least_blocks,
                   int64_t weights) {
  const int64_t most = std::min(
      {blocks / least_blocks, kSlices / parts, kSliceFloats / weights});
  return std::max<int64_t>(1, most);
}

template <>
const IgemmKernel& OuterKernel<float>(Isa isa) {
  return Last(IgemmKernels(isa));
}
template <>
const IgemmKernel& OuterKernel<Bf16>(Isa isa) {
  return Last(Bf16KernelsFor(isa).sums);
}

}  // namespace p3d
