#ifndef P3D_KERNELS_NARROW_CUDA_HPP_
#define P3D_KERNELS_NARROW_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Values of another kind, rounded where they have fewer digits. Arrays lie in
// device memory. Each call is put into the stream and not waited for; what
// cannot be launched throws Error. Value is Bf16 or Fp16.

template <typename Value>
void Narrow(CUstream_st* stream, const float* from, int64_t count, Value* to);

template <typename Value>
void Widen(CUstream_st* stream, const Value* from, int64_t count, float* to);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_NARROW_CUDA_HPP_
