// ConvDataGradient on tensor cores, by groups of warps.

#include "kernels/conv/conv_data_gradient_mma_cuda.hpp"
#include "kernels/conv/mma_group_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, int rows, int columns, bool whole>
using Mma = DataGradientMma<ByGroups, Value, rows, columns, whole>;

}  // namespace

template <>
const Candidates<DataGradientCall<Bf16>>& ByWarpGroups() {
  return GroupTable<Mma, Bf16>();
}
template <>
const Candidates<DataGradientCall<Fp16>>& ByWarpGroups() {
  return GroupTable<Mma, Fp16>();
}

}  // namespace cuda
}  // namespace p3d
