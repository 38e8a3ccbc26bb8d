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
//   max(alpha sum + beta residual + shift[o], 0)
//
// so there is none with a ReLU before the residual, nor with alpha beside a
// shift. A scale per channel cuBLASLt has for integers alone (12.4, asked for
// GPUs of 7.5 to 9.0, has no algorithm of floating point that takes one): the
// weights are multiplied by it before and rounded again. It takes a shift in 16
// bits where the result has them: rounded as the result is. Both are done by
// one launch before each product. Partial sums are floats always.

// Whether cuBLASLt is asked at all.
bool CanAsk(const cuda::ConvForm& form);

// Loads libcublasLt.so.13 or else .12 from the first of `folders` that has it,
// or from where the loader looks. Stays loaded. Throws Error with the cure
// where there is none.
cuda::ConvLibrary LoadConvolutions(const std::vector<std::string>& folders);

}  // namespace cublaslt
}  // namespace p3d

#endif  // P3D_KERNELS_CUBLASLT_CONV_HPP_
