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

using Words = __m512i;
using Word = int __attribute__((may_alias));

inline Words LoadWords(const float* p) { return _mm512_loadu_si512(p); }
inline Words BroadcastWord(const float* p) {
  return _mm512_set1_epi32(*reinterpret_cast<const Word*>(p));
}
inline Vector MultiplyAdd(Words a, Words b, Vector c) {
  return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}

inline Vector Widen(__m256i values) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}
inline __m256i Round(Vector v) { return (__m256i)_mm512_cvtneps_pbh(v); }
inline Vector Load(const Bf16* p) {
  return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline void Store(Bf16* p, Vector v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), Round(v));
}
inline Vector LoadLanes(const Bf16* p, Mask mask) {
  return Widen(_mm256_maskz_loadu_epi16(mask, p));
}
inline void StoreLanes(Bf16* p, Mask mask, Vector v) {
  _mm256_mask_storeu_epi16(p, mask, Round(v));
}
// Of the lower half's values and the upper half's in turn.
constexpr uint16_t kInTurn[] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
inline void StoreWords(float* p, Vector first, Vector second) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  _mm512_storeu_si512(
      p, _mm512_permutexvar_epi16(_mm512_loadu_si512(kInTurn), halves));
}

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
