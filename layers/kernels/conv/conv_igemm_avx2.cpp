#include "kernels/conv/conv_igemm.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx2-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_igemm_f32-inl.hpp"

const IgemmTileFunction kTiles6x16[] = {P3D_TILES_TO_6(P3D_TILES_2, Tile)};
const IgemmTileFunction kOuterTiles6x16[] = {
    P3D_TILES_TO_6(P3D_TILES_2, OuterTile)};
const IgemmTileFunction kDepthwiseTiles6x16[] = {
    P3D_TILES_TO_6(P3D_TILES_2, DepthwiseTile)};

const IgemmKernel k6x16 = {"conv_f32_igemm_6x16_avx2",
                           false,
                           6,
                           4,
                           kLanes,
                           2,
                           kTiles6x16,
                           kOuterTiles6x16};
const IgemmKernel kDepthwise6x16 = {"conv_f32_depthwise_6x16_avx2",
                                    true,
                                    6,
                                    3,
                                    kLanes,
                                    2,
                                    kDepthwiseTiles6x16,
                                    nullptr};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const IgemmKernel* const* IgemmKernelsAvx2() {
  static const IgemmKernel* const kernels[] = {
#if defined(__x86_64__)
      &kDepthwise6x16, &k6x16,
#endif
      nullptr};
  return kernels;
}

}  // namespace p3d
