#ifndef P3D_KERNELS_CONV_CHOICE_HPP_
#define P3D_KERNELS_CONV_CHOICE_HPP_

#include <string>
#include <vector>

#include "kernels/conv/conv.hpp"

namespace p3d {
namespace cuda {

// Which implementation does a convolution of narrow values on a GPU: our own,
// one of cuDNN's or one of cuBLASLt's. All that can do it are run once per form
// (see conv_library.hpp) and GPU, on copies of what is made; one whose result
// is not our own kernel's, but for rounding, is left out with a line on stderr.
// The fastest of the rest is taken from then on, and kept in a file for the
// next process; ours where the others are hardly faster. While a graph is
// captured nothing is chosen: our own kernels do what has no choice yet. So do
// they what a process meets once its comparisons took so many seconds as
// $P3D_CONVOLUTION_SECONDS says, 60 by default.
//
// $P3D_CONVOLUTION pins the choice: "own"; "cudnn" or "cublaslt", the way that
// the library itself holds for the fastest; "cudnn_N" or "cublaslt_N", its Nth,
// from 0. Our own does what that cannot. Nothing is timed or kept then.

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
// Which way of a library was chosen on the GPU in use for forward convolutions
// of this shape, with any epilogue: "cudnn_0", or nothing.
std::string ForwardWay(Precision kind, const ConvShape& shape);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CHOICE_HPP_
