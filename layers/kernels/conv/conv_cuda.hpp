#ifndef P3D_KERNELS_CONV_CUDA_HPP_
#define P3D_KERNELS_CONV_CUDA_HPP_

#include <cstdint>
#include <string>

#include "kernels/conv/conv.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The formulas of conv.hpp and conv_gradients.hpp on a GPU, on channels-last
// data of up to three spatial axes. Weights and their gradient are channels
// last as well: (num_output, taps, channels / group). Arrays lie in device
// memory, those of the epilogue too. Each call is put into the stream and not
// waited for; what cannot be computed or launched throws Error. The bits of a
// result depend on the shape and the values alone.
//
// Values are float, double, or of one of the kinds of narrow.hpp. Sums are
// taken in RealOf<Value>; those of floats with more than about 8000 terms in
// parts that are joined in double. Those of the kinds of narrow.hpp are floats
// whatever their length, but for a weight's gradient, whose parts of up to 8192
// pixels are; tensor cores may cut off what they add. Products of Tf32 have the
// digits of floats where no tensor core makes them. Where there is little of a
// result and much of a sum, parts of it are taken side by side and joined.

// `scratch` is memory for the length of a call, as many values as the functions
// of that name say, which may be none. Where it is null the first two take sums
// in one piece, which leaves a GPU idle for a small batch; that is another
// order of additions.

// y = what the epilogue makes of the convolution of x.
template <typename Value>
void Convolve(CUstream_st* stream, const ConvShape& shape, const Value* x,
              const Value* weights, const Epilogue<Value>& epilogue,
              RealOf<Value>* scratch, Value* y);
int64_t ConvolveScratch(const ConvShape& shape);
// The kernel that it takes, "conv_f32_cuda_tiles_128_fours", for arrays that
// are aligned as DeviceAllocate's are.
template <typename Value>
std::string ConvolveName(const ConvShape& shape);

// dx = the gradient; with `add` += instead of =.
template <typename Value>
void ConvDataGradient(CUstream_st* stream, const ConvShape& shape,
                      const Value* dy, const Value* weights,
                      RealOf<Value>* scratch, bool add, Value* dx);
int64_t ConvDataGradientScratch(const ConvShape& shape);

// dw = the gradient; with `add` += instead of =.
template <typename Value>
void ConvWeightGradient(CUstream_st* stream, const ConvShape& shape,
                        const Value* dy, const Value* x, RealOf<Value>* scratch,
                        bool add, RealOf<Value>* dw);
int64_t ConvWeightGradientScratch(const ConvShape& shape);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CUDA_HPP_
