#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/cpu/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_bf16_emulated-inl.hpp"

const IgemmTileFunctionOf<Bf16> kTiles[] = {P3D_TILES_TO_4(P3D_TILES_2, Tile)};
const IgemmTileFunction kSumsTiles[] = {P3D_TILES_TO_4(P3D_TILES_2, SumsTile)};
const IgemmTileFunction kOuter[] = {P3D_TILES_TO_4(P3D_TILES_2, OuterTile)};
const IgemmKernelOf<Bf16> kTile = {"conv_bf16_igemm_4x8_generic_emulated",
                                   false,
                                   4,
                                   4,
                                   kLanes,
                                   2,
                                   kTiles,
                                   nullptr};
const IgemmKernel kSumsTile = {"conv_bf16_igemm_4x8_generic_emulated",
                               false,
                               4,
                               4,
                               kLanes,
                               2,
                               kSumsTiles,
                               kOuter};
const WinogradKernelOf<Bf16> kWinograd = {
    "conv_bf16_winograd_2x2_generic_emulated", TransformInput, nullptr,
    TransformOutput, kGradient};

const IgemmKernelOf<Bf16>* const kIgemm[] = {&kTile, nullptr};
const IgemmKernel* const kSums[] = {&kSumsTile, nullptr};
const Bf16Kernels kKernels = {kIgemm, kSums, &kWinograd, RoundValues, nullptr};

}  // namespace

const Bf16Kernels& Bf16KernelsGeneric() { return kKernels; }

}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"
