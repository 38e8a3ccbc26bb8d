// ConvWeightGradient on tensor cores, by warps.

#include "kernels/conv/conv_weight_gradient_mma_cuda.hpp"
#include "kernels/conv/mma_warp_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, int rows, int columns, bool whole>
using Mma = WeightGradientMma<ByWarps, Value, rows, columns, whole>;

}  // namespace

template <>
const Candidates<WeightGradientCall<Tf32>>& All() {
  return MmaTable<Mma, Tf32>({}, {Floats<WeightGradientCall<Tf32>>()});
}
template <>
const Candidates<WeightGradientCall<Bf16>>& All() {
  return MmaTable<Mma, Bf16>(ByWarpGroups<WeightGradientCall<Bf16>>());
}
template <>
const Candidates<WeightGradientCall<Fp16>>& All() {
  return MmaTable<Mma, Fp16>(ByWarpGroups<WeightGradientCall<Fp16>>());
}

}  // namespace cuda
}  // namespace p3d
