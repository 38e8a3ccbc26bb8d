#ifndef P3D_KERNELS_AFFINE_CUDA_HPP_
#define P3D_KERNELS_AFFINE_CUDA_HPP_

#include <cstdint>

#include "kernels/affine.hpp"
#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of affine.hpp on a GPU: the same formulas, sums in double in
// one order always. Arrays lie in device memory. Each call is put into the
// stream and not waited for; what cannot be launched throws Error.

template <typename Value>
void ScaleShift(CUstream_st* stream, const Broadcast& shape,
                const RealOf<Value>* center, const RealOf<Value>* scale,
                const RealOf<Value>* shift, const Value* x, Value* y);

// `scratch` is memory for the length of a call: SumsScratchSize doubles.
int64_t SumsScratchSize(const Broadcast& shape);
template <typename Value>
void ScaleShiftGradients(CUstream_st* stream, const Broadcast& shape,
                         const Value* x, const Value* dy, double* scratch,
                         RealOf<Value>* dscale, RealOf<Value>* dshift);

// The weights of a convolution for a library that takes no scale per channel,
// and its shift in the kind of its values, by one launch:
//
//   scaled[o, t] = weights[o, t] scale[o]    for `terms` values of each output
//   rounded[o] = shift[o]                    unless `rounded` is null
//
// Rounded to Value, which is float, Bf16 or Fp16.
template <typename Value>
void ScaleWeights(CUstream_st* stream, int64_t outputs, int64_t terms,
                  const float* scale, const float* shift, const Value* weights,
                  Value* scaled, Value* rounded);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_AFFINE_CUDA_HPP_
