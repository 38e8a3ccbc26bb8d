#ifndef P3D_KERNELS_RECURRENT_CUDA_HPP_
#define P3D_KERNELS_RECURRENT_CUDA_HPP_

#include <cstdint>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of recurrent.hpp on a GPU: the same formulas. Arrays lie in
// device memory. Each call is put into the stream and not waited for; what
// cannot be launched throws Error.

template <typename Dtype>
void ContinueStates(CUstream_st* stream, int64_t streams, int64_t width,
                    const Dtype* continues, const Dtype* h, Dtype* continued);

template <typename Dtype>
void LstmStep(CUstream_st* stream, int64_t streams, int64_t width,
              const Dtype* c_before, const Dtype* gates, const Dtype* continues,
              Dtype* c, Dtype* h);

template <typename Dtype>
void LstmStepBackward(CUstream_st* stream, int64_t streams, int64_t width,
                      const Dtype* c_before, const Dtype* gates,
                      const Dtype* continues, const Dtype* c, const Dtype* dc,
                      const Dtype* dh, Dtype* dc_before, Dtype* dgates);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_RECURRENT_CUDA_HPP_
