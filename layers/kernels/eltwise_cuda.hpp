#ifndef P3D_KERNELS_ELTWISE_CUDA_HPP_
#define P3D_KERNELS_ELTWISE_CUDA_HPP_

#include <cstddef>
#include <cstdint>
#include <vector>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of eltwise.hpp on a GPU, of at most 16 bottoms.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.

template <typename Dtype>
void EltwiseSum(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Dtype* top);

template <typename Dtype>
void EltwiseProd(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                 int64_t count, Dtype* top);

template <typename Dtype>
void EltwiseMax(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                int64_t count, Dtype* top);

template <typename Dtype>
void EltwiseProdBackward(CUstream_st* stream,
                         const std::vector<const Dtype*>& bottoms,
                         size_t bottom, const Dtype* dy, int64_t count,
                         Dtype* dx);

template <typename Dtype>
void EltwiseMaxBackward(CUstream_st* stream,
                        const std::vector<const Dtype*>& bottoms, size_t bottom,
                        const Dtype* dy, int64_t count, Dtype* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ELTWISE_CUDA_HPP_
