#include "kernels/conv/conv_igemm.hpp"

#include "kernels/cpu/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_igemm_f32-inl.hpp"

// As many sums as there are registers for: ARM's processors have 32 of a vector
// each, and some begin four multiplications at a time, which take four cycles.
#ifdef __aarch64__
#define P3D_TILES(tile) P3D_TILES_TO_6(P3D_TILES_4, tile)
#define P3D_NAME(kind) "conv_f32_" kind "_6x16_generic"
constexpr int kRows = 6, kVectors = 4, kMinRows = 3;
#else
#define P3D_TILES(tile) P3D_TILES_TO_4(P3D_TILES_2, tile)
#define P3D_NAME(kind) "conv_f32_" kind "_4x8_generic"
constexpr int kRows = 4, kVectors = 2, kMinRows = 4;
#endif

const IgemmTileFunction kTiles[] = {P3D_TILES(Tile)};
const IgemmTileFunction kOuterTiles[] = {P3D_TILES(OuterTile)};
const IgemmTileFunction kDepthwiseTiles[] = {P3D_TILES(DepthwiseTile)};

const IgemmKernel kDirect = {
    P3D_NAME("igemm"), false,  kRows,      kMinRows, kLanes,
    kVectors,          kTiles, kOuterTiles};
const IgemmKernel kDepthwise = {
    P3D_NAME("depthwise"), true,   kRows, 3, kLanes, kVectors,
    kDepthwiseTiles,       nullptr};

}  // namespace

const IgemmKernel* const* IgemmKernelsGeneric() {
  static const IgemmKernel* const kernels[] = {&kDepthwise, &kDirect, nullptr};
  return kernels;
}

}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"
