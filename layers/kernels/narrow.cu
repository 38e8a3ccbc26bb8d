#include "kernels/narrow_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename From, typename To>
struct CopyKernel {
  const From* from;
  To* to;

  P3D_HOST_DEVICE void operator()(int64_t i) const { to[i] = from[i]; }
};

}  // namespace

template <typename Value>
void Narrow(CUstream_st* stream, const float* from, int64_t count, Value* to) {
  ForEach(stream, "Narrow", count, CopyKernel<float, Value>{from, to});
}

template <typename Value>
void Widen(CUstream_st* stream, const Value* from, int64_t count, float* to) {
  ForEach(stream, "Widen", count, CopyKernel<Value, float>{from, to});
}

template void Narrow(CUstream_st*, const float*, int64_t, Bf16*);
template void Narrow(CUstream_st*, const float*, int64_t, Fp16*);
template void Widen(CUstream_st*, const Bf16*, int64_t, float*);
template void Widen(CUstream_st*, const Fp16*, int64_t, float*);

}  // namespace cuda
}  // namespace p3d
