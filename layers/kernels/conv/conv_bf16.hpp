#ifndef P3D_KERNELS_CONV_BF16_HPP_
#define P3D_KERNELS_CONV_BF16_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv.hpp"

namespace p3d {

// A convolution of bfloat16 values on channels-last data: weights are rounded
// to bfloat16 as well; sums and the epilogue's parameters are floats. Results
// are Out: Bf16, rounded once, or float. See Conv for what is not said here.
//
// Where the processor multiplies matrices of bfloat16 (AMX) this takes a fifth
// of a float convolution's time, with AVX512_BF16 alone half of it on AMD's and
// a little more than it on Intel's; elsewhere the same is computed of floats,
// which takes longer than a float convolution does.
template <typename Out>
class Bf16ConvTo {
 public:
  virtual ~Bf16ConvTo() = default;

  // Null for what is left to floats: groups with an odd number of inputs
  // (depthwise ones, too) and absurd shapes. Throws Error for an impossible
  // one.
  static std::unique_ptr<const Bf16ConvTo> Create(const ConvShape& shape,
                                                  Isa isa = ActiveIsa());

  // "conv_bf16_winograd_2x2_avx512", "conv_bf16_igemm_12x32_avx512", ... , with
  // "_emulated" behind where it is computed of floats.
  virtual const char* name() const = 0;

  // Words of 32 bits, which lie where floats would. The layout depends on the
  // weights' shape, strides, dilation and padding mode, not on num or sizes.
  virtual int64_t packed_size() const = 0;
  virtual uint64_t pack_key() const = 0;
  // Rounds to bfloat16, so there is no way back.
  virtual void Pack(const float* weights, float* packed) const = 0;

  // Floats.
  virtual int64_t workspace_size() const = 0;
  // `next` counts words.
  virtual void Run(const Bf16* x, const float* packed,
                   const Epilogue<Out>& epilogue, Out* y, float* workspace,
                   const NextWeights& next = NextWeights()) const = 0;
};
using Bf16Conv = Bf16ConvTo<Bf16>;

// Whether this machine multiplies bfloat16 and `isa` lets it.
bool MultipliesBf16(Isa isa = ActiveIsa());

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_HPP_
