#include "kernels/conv/conv_igemm.hpp"

#include "kernels/cpu/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_igemm_f32-inl.hpp"

const IgemmTileFunction kTiles4x8[] = {P3D_TILES_TO_4(P3D_TILES_2, Tile)};
const IgemmTileFunction kOuterTiles4x8[] = {
    P3D_TILES_TO_4(P3D_TILES_2, OuterTile)};
const IgemmTileFunction kDepthwiseTiles4x8[] = {
    P3D_TILES_TO_4(P3D_TILES_2, DepthwiseTile)};

const IgemmKernel k4x8 = {"conv_f32_igemm_4x8_generic",
                          false,
                          4,
                          4,
                          kLanes,
                          2,
                          kTiles4x8,
                          kOuterTiles4x8};
const IgemmKernel kDepthwise4x8 = {"conv_f32_depthwise_4x8_generic",
                                   true,
                                   4,
                                   3,
                                   kLanes,
                                   2,
                                   kDepthwiseTiles4x8,
                                   nullptr};

}  // namespace

const IgemmKernel* const* IgemmKernelsGeneric() {
  static const IgemmKernel* const kernels[] = {&kDepthwise4x8, &k4x8, nullptr};
  return kernels;
}

}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"
