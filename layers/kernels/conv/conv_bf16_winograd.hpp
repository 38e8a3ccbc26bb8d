#ifndef P3D_KERNELS_CONV_BF16_WINOGRAD_HPP_
#define P3D_KERNELS_CONV_BF16_WINOGRAD_HPP_

#include <memory>

#include "kernels/conv/conv_bf16.hpp"

namespace p3d {

// "conv_bf16_winograd_2x2_<isa>" (see conv_winograd.hpp): transformed inputs
// and weights are rounded to bfloat16, the latter when they are packed. Results
// are off by about 1.6 times as much as a direct convolution's.
//
// Null for what it cannot do, and for so few channels that the transforms would
// take longer than they save. The size of the input does not matter, so that
// all that share weights take the same packed ones.
std::unique_ptr<const Bf16Conv> CreateBf16Winograd(const ConvShape& shape,
                                                   Isa isa);
// Null only for what it cannot do.
std::unique_ptr<const Bf16Conv> CreateBf16WinogradAnyway(const ConvShape& shape,
                                                         Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_WINOGRAD_HPP_
