// Convolve on tensor cores, by warps.

#include "kernels/conv/conv_filled_cuda.hpp"
#include "kernels/conv/conv_mma_cuda.hpp"
#include "kernels/conv/mma_warp_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value, int rows, int columns, bool whole>
using Mma = ForwardMma<ByWarps, Value, rows, columns, whole>;

template <typename Value>
Candidates<ForwardCall<Value>> GroupsAndFilled() {
  Candidates<ForwardCall<Value>> all = ByWarpGroups<ForwardCall<Value>>();
  all.push_back(FilledCandidate<Value>());
  return all;
}

}  // namespace

template <>
const Candidates<ForwardCall<Tf32>>& All() {
  return MmaTable<Mma, Tf32>({FilledCandidate<Tf32>()},
                             {Floats<ForwardCall<Tf32>>()});
}
template <>
const Candidates<ForwardCall<Bf16>>& All() {
  return MmaTable<Mma, Bf16>(GroupsAndFilled<Bf16>());
}
template <>
const Candidates<ForwardCall<Fp16>>& All() {
  return MmaTable<Mma, Fp16>(GroupsAndFilled<Fp16>());
}

}  // namespace cuda
}  // namespace p3d
