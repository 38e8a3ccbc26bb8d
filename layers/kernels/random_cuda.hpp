#ifndef P3D_KERNELS_RANDOM_CUDA_HPP_
#define P3D_KERNELS_RANDOM_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Dropout of random.hpp on a GPU: the same draws.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

template <typename Value>
void KeepRandomly(CUstream_st* stream, uint64_t seed, double keep, double scale,
                  int64_t count, const Value* x, Value* y);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_RANDOM_CUDA_HPP_
