#ifndef P3D_KERNELS_CONV_CUDA_HPP_
#define P3D_KERNELS_CONV_CUDA_HPP_

#include <cstdint>

#include "kernels/conv.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The formulas of conv.hpp and conv_gradients.hpp on a GPU, as plain loops: on
// channels-last data, weights in Caffe's order, of up to three spatial axes.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be computed or launched throws Error. Results never vary.

// y = the convolution of x, plus bias[o] unless that is null. Summed in Dtype.
// `packed` is memory for the length of a call: shape.weight_count() values.
template <typename Dtype>
void Convolve(CUstream_st* stream, const ConvShape& shape, const Dtype* x,
              const Dtype* weights, const Dtype* bias, Dtype* packed, Dtype* y);

// dx overwritten, summed in Dtype.
template <typename Dtype>
void ConvDataGradient(CUstream_st* stream, const ConvShape& shape,
                      const Dtype* dy, const Dtype* weights, Dtype* dx);

// dw added to, summed in double.
template <typename Dtype>
void ConvWeightGradient(CUstream_st* stream, const ConvShape& shape,
                        const Dtype* dy, const Dtype* x, Dtype* dw);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CUDA_HPP_
