#include "kernels/conv_bf16.hpp"

// Where the machine's baseline has fused multiplications (NEON), use them.
#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif

#include "kernels/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv_bf16_emulated-inl.hpp"

const IgemmTileFunctionOf<Bf16> kTiles4x8[] = {
    P3D_TILES_TO_4(P3D_TILES_2, Tile)};
const IgemmKernelOf<Bf16> k4x8 = {"conv_bf16_emulated_4x8_generic",
                                  false,
                                  4,
                                  4,
                                  kLanes,
                                  2,
                                  kTiles4x8,
                                  nullptr};

}  // namespace

const IgemmKernelOf<Bf16>* const* Bf16KernelsGeneric() {
  static const IgemmKernelOf<Bf16>* const kernels[] = {&k4x8, nullptr};
  return kernels;
}

}  // namespace p3d

#ifndef __clang__
#pragma GCC pop_options
#endif
