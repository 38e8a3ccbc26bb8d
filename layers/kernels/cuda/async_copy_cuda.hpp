#ifndef P3D_KERNELS_ASYNC_COPY_CUDA_HPP_
#define P3D_KERNELS_ASYNC_COPY_CUDA_HPP_

// Copies into a block's shared memory that go past the registers while the
// thread does something else: PTX ISA, "cp.async", for GPUs of compute
// capability 8.0 and newer. On the host they are done at once.

#include <cstdint>
#include <cstring>

#include "kernels/cuda/host_device.hpp"

namespace p3d {
namespace cuda {

// Whether the GPU that is compiled for has them; older ones copy nothing.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kHasAsyncCopy = false;
#else
constexpr bool kHasAsyncCopy = true;
#endif

// Begins to copy 16 bytes, both ends aligned; or to write zeros, if not
// `there`: then nothing is read, but `from` is an address of the GPU's still.
P3D_HOST_DEVICE inline void CopyAsync(void* to, const void* from, bool there) {
#ifndef __CUDA_ARCH__
  if (there) {
    memcpy(to, from, 16);
  } else {
    memset(to, 0, 16);
  }
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(__cvta_generic_to_global(from)), "r"(there ? 16 : 0)
               : "memory");
#endif
}

// What the thread began since the last call is a batch, be it empty.
P3D_HOST_DEVICE inline void EndBatch() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits for all of the thread's batches but the last `count`.
template <int count>
P3D_HOST_DEVICE void AwaitBatches() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(count) : "memory");
#endif
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ASYNC_COPY_CUDA_HPP_
