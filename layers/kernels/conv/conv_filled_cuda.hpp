#ifndef P3D_KERNELS_CONV_FILLED_CUDA_HPP_
#define P3D_KERNELS_CONV_FILLED_CUDA_HPP_

// Convolutions of few channels, as the first one of a net is: tensor cores read
// 16 bytes at once, which pixels of two or three channels do not fill. Their
// input is copied with zeros for the channels that are missing; where windows
// begin at every other pixel, two pixels become one of twice the channels, so
// that less is filled.

#include "kernels/conv/conv_call_cuda.hpp"

namespace p3d {
namespace cuda {

// The implementation of Convolve, for values of a kind of narrow.hpp.
template <typename Value>
Candidate<ForwardCall<Value>> FilledCandidate();

// The floats of scratch memory that it needs for the copies, of whatever kind;
// 0 for shapes that are not for it.
int64_t FilledScratch(const ConvShape& shape);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_FILLED_CUDA_HPP_
