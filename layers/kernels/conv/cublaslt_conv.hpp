#ifndef P3D_KERNELS_CUBLASLT_CONV_HPP_
#define P3D_KERNELS_CUBLASLT_CONV_HPP_

#include <string>
#include <vector>

#include "kernels/conv/conv_way.hpp"

namespace p3d {
namespace cublaslt {

// Convolutions that are products of matrices, by cuBLASLt: of one group, with
// axes that are still (see conv_flat.hpp). With x of (rows, inputs), weights of
// (outputs, inputs) and y of (rows, outputs), all row by row, they are
//
//   y = x weights^T        dx = dy weights        dw = dy^T x
//
// An epilogue (see conv.hpp) becomes
//
//   max(scale[o] sum + beta residual + shift[o], 0)
//
// so there is none with a ReLU before the residual, nor with alpha beside a
// scale or a shift. cuBLASLt takes a shift in 16 bits where the result has
// them: it is rounded as the result is, by a launch before the product. Partial
// sums are floats always.

// Whether cuBLASLt is asked at all.
bool CanAsk(const cuda::ConvForm& form);

// Loads libcublasLt.so.13 or else .12 from the first of `folders` that has it,
// or from where the loader looks. Stays loaded. Throws Error with the cure
// where there is none.
cuda::ConvLibrary LoadConvolutions(const std::vector<std::string>& folders);

}  // namespace cublaslt
}  // namespace p3d

#endif  // P3D_KERNELS_CUBLASLT_CONV_HPP_
