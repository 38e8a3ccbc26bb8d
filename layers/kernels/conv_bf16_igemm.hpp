#ifndef P3D_KERNELS_CONV_BF16_IGEMM_HPP_
#define P3D_KERNELS_CONV_BF16_IGEMM_HPP_

#include <memory>

#include "kernels/conv_bf16.hpp"

namespace p3d {

// "conv_bf16_igemm_<tile>_<isa>", an indirect GEMM (see conv_igemm.hpp) whose
// words are pairs of channels.
std::unique_ptr<const Bf16Conv> CreateBf16Igemm(const ConvShape& shape,
                                                Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_IGEMM_HPP_
