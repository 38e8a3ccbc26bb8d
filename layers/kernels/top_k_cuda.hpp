#ifndef P3D_KERNELS_TOP_K_CUDA_HPP_
#define P3D_KERNELS_TOP_K_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/top_k.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Each of the k takes a launch; more are sorted sooner on the host.
constexpr int64_t kTopK = 64;

// TopK of top_k.hpp on a GPU, for k up to kTopK: places, which may be large,
// and values are no Values. Arrays lie in device memory; `scratch` is memory
// for the length of the call: one number for each position. The call is put
// into the stream and not waited for; what cannot be launched throws Error.
template <typename Value>
void TopK(CUstream_st* stream, const AxisView& view, int64_t k, int64_t stride,
          const Value* x, int64_t* scratch, RealOf<Value>* indices,
          RealOf<Value>* values);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_TOP_K_CUDA_HPP_
