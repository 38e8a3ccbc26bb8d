#include "kernels/conv/conv_igemm.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_igemm_f32-inl.hpp"

const IgemmTileFunction kTiles6x64[] = {P3D_TILES_TO_6(P3D_TILES_4, Tile)};
const IgemmTileFunction kTiles12x32[] = {P3D_TILES_TO_12(P3D_TILES_2, Tile)};
const IgemmTileFunction kOuterTiles12x32[] = {
    P3D_TILES_TO_12(P3D_TILES_2, OuterTile)};
const IgemmTileFunction kDepthwiseTiles6x64[] = {
    P3D_TILES_TO_6(P3D_TILES_4, DepthwiseTile)};

const IgemmKernel k6x64 = {
    "conv_f32_igemm_6x64_avx512", false, 6, 3, kLanes, 4, kTiles6x64, nullptr};
const IgemmKernel k12x32 = {"conv_f32_igemm_12x32_avx512",
                            false,
                            12,
                            5,
                            kLanes,
                            2,
                            kTiles12x32,
                            kOuterTiles12x32};
const IgemmKernel kDepthwise6x64 = {"conv_f32_depthwise_6x64_avx512",
                                    true,
                                    6,
                                    2,
                                    kLanes,
                                    4,
                                    kDepthwiseTiles6x64,
                                    nullptr};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const IgemmKernel* const* IgemmKernelsAvx512() {
  static const IgemmKernel* const kernels[] = {
#if defined(__x86_64__)
      &kDepthwise6x64, &k6x64, &k12x32,
#endif
      nullptr};
  return kernels;
}

}  // namespace p3d
