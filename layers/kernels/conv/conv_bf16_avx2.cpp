#include "kernels/conv/conv_bf16_kernels.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx2-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_bf16_emulated-inl.hpp"

const IgemmTileFunctionOf<Bf16> kTiles[] = {P3D_TILES_TO_4(P3D_TILES_2, Tile)};
const IgemmTileFunction kSumsTiles[] = {P3D_TILES_TO_4(P3D_TILES_2, SumsTile)};
const IgemmTileFunction kOuter[] = {P3D_TILES_TO_4(P3D_TILES_2, OuterTile)};
const IgemmKernelOf<Bf16> kTile = {"conv_bf16_igemm_4x16_avx2_emulated",
                                   false,
                                   4,
                                   3,
                                   kLanes,
                                   2,
                                   kTiles,
                                   nullptr};
const IgemmKernel kSumsTile = {"conv_bf16_igemm_4x16_avx2_emulated",
                               false,
                               4,
                               3,
                               kLanes,
                               2,
                               kSumsTiles,
                               kOuter};
const WinogradKernelOf<Bf16> kWinograd = {
    "conv_bf16_winograd_2x2_avx2_emulated", TransformInput, nullptr,
    TransformOutput, kGradient};

const IgemmKernelOf<Bf16>* const kIgemm[] = {&kTile, nullptr};
const IgemmKernel* const kSums[] = {&kSumsTile, nullptr};
const Bf16Kernels kKernels = {kIgemm, kSums, &kWinograd, RoundValues, nullptr};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const Bf16Kernels* Bf16KernelsAvx2() {
#if defined(__x86_64__)
  return &kKernels;
#else
  return nullptr;
#endif
}

}  // namespace p3d
