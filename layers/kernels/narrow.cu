#include "kernels/narrow_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename From, typename To>
struct CopyKernel {
  const From* from;
  To* to;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.Map(to, [](int, float value) { return value; }, from);
  }
};

}  // namespace

template <typename Value>
void Narrow(CUstream_st* stream, const float* from, int64_t count, Value* to) {
  ForEachRun<Value>(stream, "Narrow", count, Aligned(from, to),
                    CopyKernel<float, Value>{from, to});
}

template <typename Value>
void Widen(CUstream_st* stream, const Value* from, int64_t count, float* to) {
  ForEachRun<Value>(stream, "Widen", count, Aligned(from, to),
                    CopyKernel<Value, float>{from, to});
}

template void Narrow(CUstream_st*, const float*, int64_t, Bf16*);
template void Narrow(CUstream_st*, const float*, int64_t, Fp16*);
template void Widen(CUstream_st*, const Bf16*, int64_t, float*);
template void Widen(CUstream_st*, const Fp16*, int64_t, float*);

}  // namespace cuda
}  // namespace p3d
