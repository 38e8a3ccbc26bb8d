#ifndef P3D_KERNELS_ELTWISE_CUDA_HPP_
#define P3D_KERNELS_ELTWISE_CUDA_HPP_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of eltwise.hpp on a GPU, of at most 16 bottoms.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

template <typename Value>
void EltwiseSum(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Value* top);

template <typename Value>
void EltwiseProd(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                 int64_t count, Value* top);

template <typename Value>
void EltwiseMax(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                int64_t count, Value* top);

template <typename Value>
void EltwiseProdBackward(CUstream_st* stream,
                         const std::vector<const Value*>& bottoms,
                         size_t bottom, const Value* dy, int64_t count,
                         Value* dx);

template <typename Value>
void EltwiseMaxBackward(CUstream_st* stream,
                        const std::vector<const Value*>& bottoms, size_t bottom,
                        const Value* dy, int64_t count, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ELTWISE_CUDA_HPP_
