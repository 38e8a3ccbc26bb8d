#ifndef P3D_KERNELS_START_KERNEL_CUDA_HPP_
#define P3D_KERNELS_START_KERNEL_CUDA_HPP_

// How all our kernels are launched, and begin. On GPUs from 9.0 on one may
// begin while the one before it ends ("Programmatic Dependent Launch", CUDA
// programming guide): its blocks are placed, and know where they are to read,
// by the time they may. That hides most of what a launch takes, which is more
// than many of the 290 kernels take by themselves when P3D-199 gets one clip.
// For nvcc alone.

#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Whether kernels are launched like that, on the device in use: see
// cuda_overlap.hpp. Not where nobody has said so.
inline std::atomic<bool>& KernelsOverlap() {
  static std::atomic<bool> overlap{false};
  return overlap;
}

// All threads of every kernel, before they touch the GPU's memory: waits until
// all that was asked for before is done, and seen. Behind that the next kernel
// may come, so that there are never more than two.
__device__ inline void AwaitEarlierKernels() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// What goes wrong cudaGetLastError tells.
template <typename... Parameters>
void StartKernel(void (*kernel)(Parameters...), unsigned blocks, int threads,
                 size_t shared_bytes, CUstream_st* stream,
                 const Parameters&... parameters) {
#if CUDART_VERSION >= 12030  // knows it in graphs
  if (KernelsOverlap()) {
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    config.attrs = &overlap;
    config.numAttrs = 1;
    cudaLaunchKernelEx(&config, kernel, parameters...);
    return;
  }
#endif
  kernel<<<blocks, threads, shared_bytes, stream>>>(parameters...);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_START_KERNEL_CUDA_HPP_
