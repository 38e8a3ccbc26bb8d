#include "kernels/conv_bf16_kernels.hpp"

// What compilers know of AVX512_BF16 since then.
#if defined(__x86_64__) && \
    (defined(__clang__) ? __clang_major__ >= 9 : __GNUC__ >= 10)
#define P3D_COMPILES_BF16
#endif

#ifdef P3D_COMPILES_BF16

#include <cpuid.h>

#define P3D_LANES_BF16
#include "kernels/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv_bf16_tiles-inl.hpp"

const IgemmTileFunctionOf<Bf16> kTiles6x64[] = {
    P3D_TILES_TO_6(P3D_TILES_4, Tile)};
const IgemmTileFunctionOf<Bf16> kTiles12x32[] = {
    P3D_TILES_TO_12(P3D_TILES_2, Tile)};
const IgemmTileFunction kSums6x64[] = {P3D_TILES_TO_6(P3D_TILES_4, SumsTile)};
const IgemmTileFunction kSums12x32[] = {P3D_TILES_TO_12(P3D_TILES_2, SumsTile)};
const IgemmTileFunction kOuter12x32[] = {
    P3D_TILES_TO_12(P3D_TILES_2, OuterTile)};

const IgemmKernelOf<Bf16> k6x64 = {
    "conv_bf16_igemm_6x64_avx512", false, 6, 3, kLanes, 4, kTiles6x64, nullptr};
const IgemmKernelOf<Bf16> k12x32 = {"conv_bf16_igemm_12x32_avx512",
                                    false,
                                    12,
                                    5,
                                    kLanes,
                                    2,
                                    kTiles12x32,
                                    nullptr};
const IgemmKernel kSums64 = {
    "conv_bf16_igemm_6x64_avx512", false, 6, 3, kLanes, 4, kSums6x64, nullptr};
const IgemmKernel kSums32 = {"conv_bf16_igemm_12x32_avx512",
                             false,
                             12,
                             5,
                             kLanes,
                             2,
                             kSums12x32,
                             kOuter12x32};
const WinogradKernelOf<Bf16> kWinograd = {"conv_bf16_winograd_2x2_avx512",
                                          TransformInput, nullptr,
                                          TransformOutput, kGradient};

const IgemmKernelOf<Bf16>* const kIgemm[] = {&k6x64, &k12x32, nullptr};
const IgemmKernel* const kSums[] = {&kSums64, &kSums32, nullptr};
const Bf16Kernels kKernels = {kIgemm, kSums, &kWinograd, RoundValues};

}  // namespace
}  // namespace p3d

#include "kernels/lanes_end-inl.hpp"

namespace p3d {
namespace {

// Leaf 7, subleaf 1, of cpuid; older compilers' __builtin_cpu_supports does not
// know the name.
bool HasInstructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

}  // namespace
}  // namespace p3d

#endif  // P3D_COMPILES_BF16

namespace p3d {

const Bf16Kernels* Bf16KernelsAvx512() {
#ifdef P3D_COMPILES_BF16
  static const bool has = HasInstructions();
  return has ? &kKernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace p3d
