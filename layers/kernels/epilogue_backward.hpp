#ifndef P3D_KERNELS_EPILOGUE_BACKWARD_HPP_
#define P3D_KERNELS_EPILOGUE_BACKWARD_HPP_

#include <cstdint>

#include "kernels/conv/conv.hpp"

namespace p3d {

// Takes a gradient back through a ConvEpilogue, in one pass. y is what the
// epilogue made, float or Bf16, dy its gradient, both `rows` times `channels`;
// there may be an inner ReLU or a residual, but not both, since y does not tell
// where the ReLU in front of a sum was 0.
//
//   d = dy where y > 0 or there is no ReLU, else 0
//   dresidual = beta d           (null: not wanted; `add`: += instead of =)
//   dy = alpha d scale[channel]  (now the gradient of the sums; no residual:
//                                alpha counts as 1)
template <typename Value>
void EpilogueBackward(const ConvEpilogue& epilogue, int64_t rows,
                      int64_t channels, const Value* y, float* dy,
                      float* dresidual, bool add);

}  // namespace p3d

#endif  // P3D_KERNELS_EPILOGUE_BACKWARD_HPP_
