// Convolve on tensor cores, by warps.

#include "kernels/conv_mma_cuda.hpp"
#include "kernels/mma_warp_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, int rows, int columns, bool whole>
using Mma = ForwardMma<ByWarps, Value, rows, columns, whole>;

}  // namespace

template <>
const Candidates<ForwardCall<Tf32>>& All() {
  return MmaTable<Mma, Tf32>({}, {Floats<ForwardCall<Tf32>>()});
}
template <>
const Candidates<ForwardCall<Bf16>>& All() {
  return MmaTable<Mma, Bf16>(ByWarpGroups<ForwardCall<Bf16>>());
}
template <>
const Candidates<ForwardCall<Fp16>>& All() {
  return MmaTable<Mma, Fp16>(ByWarpGroups<ForwardCall<Fp16>>());
}

}  // namespace cuda
}  // namespace p3d
