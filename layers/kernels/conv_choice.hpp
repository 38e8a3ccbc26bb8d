#ifndef P3D_KERNELS_CONV_CHOICE_HPP_
#define P3D_KERNELS_CONV_CHOICE_HPP_

#include <string>
#include <vector>

namespace p3d {
namespace cuda {

// Which implementation does a convolution of narrow values on a GPU: our own or
// one of cuDNN's. All that can do it are run once per form (see
// conv_library.hpp) and GPU, on copies of what is made; one whose result is not
// our own kernel's, but for rounding, is left out with a line on stderr. The
// fastest of the rest is taken from then on, and kept in a file for the next
// process. While a graph is captured nothing is chosen: our own kernels do what
// has no choice yet.
//
// $P3D_CONVOLUTION pins the choice: "own"; "cudnn", the way that cuDNN itself
// holds for the fastest; "cudnn_N", its Nth, from 0. Our own does what that
// cannot. Nothing is timed or kept then.

// From now on cuDNN is looked for in these folders first, then where the loader
// looks, as soon as it is needed; choices are kept in `cache`, or not at all
// where that is empty. Throws nothing.
void UseConvLibraries(const std::vector<std::string>& folders,
                      const std::string& cache);

// "cuDNN 9.15.1", or why there is none and what to install.
std::string ConvLibraries();

// What was chosen in this process, a line "choice<TAB>form" each.
std::string ConvChoices();

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CHOICE_HPP_
