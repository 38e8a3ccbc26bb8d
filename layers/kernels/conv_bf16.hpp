#ifndef P3D_KERNELS_CONV_BF16_HPP_
#define P3D_KERNELS_CONV_BF16_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv.hpp"
#include "kernels/conv_igemm.hpp"
#include "kernels/conv_igemm_loops.hpp"
#include "kernels/conv_panels.hpp"

namespace p3d {

// A convolution of bfloat16 values on channels-last data: weights are rounded
// to bfloat16 as well; sums and the epilogue's parameters are floats, results
// are rounded once. An indirect GEMM whose words are pairs of channels.
//
// Where the processor multiplies such pairs (AVX512_BF16) this takes half of a
// float convolution's time; elsewhere the same is computed of floats, which
// takes longer than a float convolution does.
class Bf16Conv {
 public:
  // Null for what is left to floats: groups with an odd number of inputs
  // (depthwise ones, too) and absurd shapes. Throws Error for an impossible
  // one.
  static std::unique_ptr<const Bf16Conv> Create(const ConvShape& shape,
                                                Isa isa = ActiveIsa());

  // "conv_bf16_igemm_12x32_avx512", "conv_bf16_emulated_4x16_avx2"
  const char* name() const { return kernel_.name; }

  // Words of 32 bits, which lie where floats would. The layout depends on what
  // Conv's does, see there; no Conv has the same key.
  int64_t packed_size() const { return panels_.size(); }
  uint64_t pack_key() const;
  // Rounds to bfloat16, so there is no way back.
  void Pack(const float* weights, float* packed) const;

  // Floats.
  int64_t workspace_size() const;
  // As Conv::Run; `next` counts words.
  void Run(const Bf16* x, const float* packed, const Epilogue<Bf16>& epilogue,
           Bf16* y, float* workspace,
           const NextWeights& next = NextWeights()) const;

 private:
  using Loops = IgemmLoops<Bf16>;
  Bf16Conv(const ConvShape& shape, const IgemmKernelOf<Bf16>& kernel,
           const WeightPanels& panels, std::unique_ptr<const Loops> loops);
  int64_t input_words() const;

  const ConvShape shape_;
  const IgemmKernelOf<Bf16>& kernel_;
  const WeightPanels panels_;
  const std::unique_ptr<const Loops> loops_;
};

// Whether this machine multiplies pairs of bfloat16 and ActiveIsa() lets it.
bool MultipliesBf16();

// The families of each instruction set, as IgemmKernels' but none depthwise;
// AVX-512's are null alone where the processor lacks AVX512_BF16.
const IgemmKernelOf<Bf16>* const* Bf16KernelsAvx512();
const IgemmKernelOf<Bf16>* const* Bf16KernelsAvx2();
const IgemmKernelOf<Bf16>* const* Bf16KernelsGeneric();

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_HPP_
