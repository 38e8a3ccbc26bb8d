#ifndef P3D_KERNELS_CONV_BF16_LOOPS_HPP_
#define P3D_KERNELS_CONV_BF16_LOOPS_HPP_

#include <memory>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_loops.hpp"
#include "kernels/conv/conv_panels.hpp"

namespace p3d {

// The fastest loops that `isa` has for a convolution whose channels are pairs
// of bfloat16 values, and the panels that they take.
template <typename Out>
struct Bf16Loops {
  const char* name;  // "conv_bf16_igemm_12x32_avx512"
  WeightPanels panels;
  std::unique_ptr<const ConvLoops<Out>> loops;  // null for absurd shapes

  static Bf16Loops Create(const ConvShape& pairs, Isa isa);
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_LOOPS_HPP_
