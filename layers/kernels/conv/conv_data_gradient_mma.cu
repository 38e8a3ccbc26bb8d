// ConvDataGradient on tensor cores, by warps.

#include "kernels/conv/conv_data_gradient_mma_cuda.hpp"
#include "kernels/conv/mma_warp_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, int rows, int columns, bool whole>
using Mma = DataGradientMma<ByWarps, Value, rows, columns, whole>;

}  // namespace

template <>
const Candidates<DataGradientCall<Tf32>>& All() {
  return MmaTable<Mma, Tf32>({}, {Floats<DataGradientCall<Tf32>>()});
}
template <>
const Candidates<DataGradientCall<Bf16>>& All() {
  return MmaTable<Mma, Bf16>(ByWarpGroups<DataGradientCall<Bf16>>());
}
template <>
const Candidates<DataGradientCall<Fp16>>& All() {
  return MmaTable<Mma, Fp16>(ByWarpGroups<DataGradientCall<Fp16>>());
}

}  // namespace cuda
}  // namespace p3d
