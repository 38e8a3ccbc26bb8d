#ifndef P3D_KERNELS_WEIGHT_GRADIENT_HPP_
#define P3D_KERNELS_WEIGHT_GRADIENT_HPP_

#include <cstdint>

#include "kernels/conv/conv_igemm.hpp"

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

// Some outputs, inputs, pixels, blocks: [first, end).
struct WeightGradientRange {
  int64_t first, end;
  int64_t size() const { return end - first; }
};

// The most outputs of a part of the weights: with what is read for them, and
// with their sums, they fit the caches behind L1.
constexpr int64_t kPartOutputs = 128;
// How many outputs a part has where there are `others` parts besides those of
// other outputs: every thread gets some. Sums do not depend on it.
int64_t OutputsOfPart(int64_t outputs, int64_t others);

// With few parts, sums are cut into slices, of at least so many blocks, which
// are added up afterwards; not if so many weights would make them too large.
int64_t SliceCount(int64_t parts, int64_t blocks, int64_t least_blocks,
                   int64_t weights);

// The micro-kernels that have outer tiles, of words of Values. Their panels are
// the narrowest: the last one's empty lanes are computed as well.
template <typename Value>
const IgemmKernel& OuterKernel(Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_WEIGHT_GRADIENT_HPP_
