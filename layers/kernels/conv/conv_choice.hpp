#ifndef P3D_KERNELS_CONV_CHOICE_HPP_
#define P3D_KERNELS_CONV_CHOICE_HPP_

#include <string>
#include <vector>

#include "kernels/conv/conv.hpp"

namespace p3d {
namespace cuda {

// Which implementation does a convolution of narrow values on a GPU: one of our
// own kernels, of cuDNN's or of cuBLASLt's. All that can do it are run once per
// form (see conv_library.hpp) and GPU, on copies of what is made; one whose
// result is not that of our kernel which seems right for the shape, but for
// rounding, is left out with a line on stderr. The fastest of the rest is taken
// from then on, and kept in a file for the next process, with what a library
// has compiled for it; ours where the libraries' are hardly faster. While a
// graph is captured nothing is chosen: the kernel that seems right does what
// has no choice yet. Libraries are not asked any more once that took a process
// so many seconds as $P3D_CONVOLUTION_SECONDS says, 60 by default; with 0
// nothing is compared.
//
// $P3D_CONVOLUTION pins the choice: "own", what seems right;
// "own_wgmma_64x64_unsliced", that one, without slices; "cudnn" or "cublaslt",
// the way that the library itself holds for the fastest; "cudnn_N" or
// "cublaslt_N", its Nth, from 0. What cannot do it leaves it to our own.
// Nothing is timed or kept then.

// From now on libraries are looked for in these folders first, then where the
// loader looks, as soon as they are needed; choices are kept in `cache`, or not
// at all where that is empty. Throws nothing.
void UseConvLibraries(const std::vector<std::string>& folders,
                      const std::string& cache);

// "cuDNN 9.15.1, cuBLASLt 13.1.0", with why there is none and what to install
// in the place of one that is not there.
std::string ConvLibraries();

// What was chosen in this process, a line "choice<TAB>form" each.
std::string ConvChoices();
// What was chosen on the GPU in use for forward convolutions of this shape,
// with any epilogue: "cudnn_0", "own_mma_64x64", or nothing.
std::string ForwardWay(Precision kind, const ConvShape& shape);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CHOICE_HPP_
