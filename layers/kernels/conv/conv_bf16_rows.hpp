#ifndef P3D_KERNELS_CONV_BF16_ROWS_HPP_
#define P3D_KERNELS_CONV_BF16_ROWS_HPP_

#include <memory>

#include "kernels/conv/conv_bf16.hpp"

namespace p3d {

// "conv_bf16_igemm_<tile>_<isa>" for an odd number of channels, such as a net's
// first convolution has: a pair are two neighbours of a row of the input, along
// its last axis, whatever pixels they are of. With a kernel of 7 and 3 channels
// a row of taps is 11 pairs; pairs of channels would be 14.
//
// Where a row of taps has an odd number of values, its last pair has one behind
// them, times 0: one that is not finite makes NaN of this pixel, too.
//
// Null where pixels that are multiplied with the same tap begin in the middle
// of a pair (odd strides), for dilation along the last axis, groups and
// replicated padding.
template <typename Out>
std::unique_ptr<const Bf16ConvTo<Out>> CreateBf16Rows(const ConvShape& shape,
                                                      Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_ROWS_HPP_
