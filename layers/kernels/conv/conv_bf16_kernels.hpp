#ifndef P3D_KERNELS_CONV_BF16_KERNELS_HPP_
#define P3D_KERNELS_CONV_BF16_KERNELS_HPP_

#include <cstdint>
#include <cstring>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_winograd.hpp"
#include "kernels/pool_bf16.hpp"

namespace p3d {

// An instruction set's micro-kernels of bfloat16, whose words are pairs (see
// IgemmTileOf): families as those of IgemmKernels, but none depthwise.
struct Bf16Kernels {
  const IgemmKernelOf<Bf16>* const* igemm;
  const IgemmKernelOf<float>* const* sums;  // results are not rounded
  const WinogradKernelOf<Bf16>* winograd;
  // To the nearest, ties to even; denormals may become 0.
  void (*round)(const float* from, int64_t count, Bf16* to);
  // The maxima of a window, see pool_bf16.hpp, or null for the plain loop.
  MaxWindowBf16Function max_window;

  // The families whose results are Out.
  template <typename Out>
  const IgemmKernelOf<Out>* const* To() const;
};
template <>
inline const IgemmKernelOf<Bf16>* const* Bf16Kernels::To<Bf16>() const {
  return igemm;
}
template <>
inline const IgemmKernelOf<float>* const* Bf16Kernels::To<float>() const {
  return sums;
}

// Null where the machine or the compiler lacks AVX512_BF16, or AVX2.
const Bf16Kernels* Bf16KernelsAvx512();
const Bf16Kernels* Bf16KernelsAvx2();
const Bf16Kernels& Bf16KernelsGeneric();
// The best of `isa` and what is below it.
const Bf16Kernels& Bf16KernelsFor(Isa isa);

// Two values side by side as they lie in memory.
inline float Bf16Pair(Bf16 first, Bf16 second) {
  const Bf16 pair[] = {first, second};
  float word;
  std::memcpy(&word, pair, sizeof(word));
  return word;
}

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_KERNELS_HPP_
