#ifndef P3D_KERNELS_ORDER_CUDA_HPP_
#define P3D_KERNELS_ORDER_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of order.hpp on a GPU; values are rounded on the way where they
// take 16 bits. Arrays lie in device memory. Each call is put into the stream
// and not waited for; what cannot be launched throws Error.

template <typename Value>
void ToChannelsLast(CUstream_st* stream, const Geometry& geometry,
                    const RealOf<Value>* from, Value* to);
template <typename Dtype>
void ToCaffeOrder(CUstream_st* stream, const Geometry& geometry,
                  const Dtype* from, Dtype* to);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ORDER_CUDA_HPP_
