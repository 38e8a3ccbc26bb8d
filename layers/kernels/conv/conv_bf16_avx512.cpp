#include "kernels/conv/conv_bf16_kernels.hpp"

// What compilers know of AVX512_BF16 since then.
#if defined(__x86_64__) && \
    (defined(__clang__) ? __clang_major__ >= 9 : __GNUC__ >= 10)
#define P3D_COMPILES_BF16
#endif

#ifdef P3D_COMPILES_BF16

#include <cpuid.h>

#define P3D_LANES_BF16
#include "kernels/cpu/lanes_avx512-inl.hpp"

namespace p3d {
namespace {

#include "kernels/conv/conv_bf16_tiles-inl.hpp"

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
// See Key in pool_bf16.cpp.
inline __m512i FlipNegatives(__m512i values) {
  const __m512i signs = _mm512_srai_epi16(values, 15);
  const int kFirstXorBoth = 0x78;
  return _mm512_ternarylogic_epi32(values, signs, _mm512_set1_epi16(0x7fff),
                                   kFirstXorBoth);
}

void MaxWindow(const PoolRow& row, const PoolRange& range, int64_t step,
               int64_t count, const Bf16* x, Bf16* y) {
  constexpr int64_t kValues = 2 * kLanes;
  const __m512i wrap = _mm512_set1_epi16(kBf16KeyWrap);
  const __m512i lowest = _mm512_set1_epi16(static_cast<int16_t>(kLowestBf16));
  for (int64_t c = 0; c < count; c += kValues) {
    const int64_t some = count - c < kValues ? count - c : kValues;
    const __mmask32 mask = static_cast<__mmask32>((uint64_t{1} << some) - 1);
    __m512i best = _mm512_add_epi16(FlipNegatives(lowest), wrap);
    for (int64_t r = 0; r < row.count; ++r) {
      const Bf16* in = x + (row.starts[r] + range.begin) * step + c;
      for (int64_t p = range.begin; p < range.end; ++p, in += step) {
        const __m512i values = _mm512_maskz_loadu_epi16(mask, in);
        best = _mm512_max_epi16(best,
                                _mm512_add_epi16(FlipNegatives(values), wrap));
      }
    }
    _mm512_mask_storeu_epi16(y + c, mask,
                             FlipNegatives(_mm512_sub_epi16(best, wrap)));
  }
}

const Bf16Kernels kKernels = {kIgemm, kSums, &kWinograd, RoundValues,
                              MaxWindow};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

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
