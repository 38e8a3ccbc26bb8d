#ifndef P3D_KERNELS_WEIGHT_GRADIENT_HPP_
#define P3D_KERNELS_WEIGHT_GRADIENT_HPP_

#include "kernels/conv_igemm.hpp"

namespace p3d {

// One way to do what ConvGradients::Weights says, for one shape. Value: of dy
// and x, float or Bf16.
template <typename Value>
class WeightGradient {
 public:
  virtual ~WeightGradient() = default;
  // What the name of the gradients says of it: "winograd_2x2_" or "".
  virtual const char* trick() const = 0;
  virtual void Run(const Value* dy, const Value* x, float* dw,
                   bool add) const = 0;
};

// The micro-kernels that have outer tiles, of words of Values. Their panels are
// the narrowest: the last one's empty lanes are computed as well.
template <typename Value>
const IgemmKernel& OuterKernel(Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_WEIGHT_GRADIENT_HPP_
