#ifndef P3D_KERNELS_CUDA_OVERLAP_HPP_
#define P3D_KERNELS_CUDA_OVERLAP_HPP_

namespace p3d {
namespace cuda {

// Whether kernels on the device in use may begin while the ones before them
// end (see start_kernel_cuda.hpp). Found out by a chain of such kernels, in a
// stream and in a graph, each of which reads what the one before it wrote: if
// that goes wrong, or P3D_OVERLAP=0 is set, they may not. A line on stderr says
// what went wrong.
bool CanOverlap();

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CUDA_OVERLAP_HPP_
