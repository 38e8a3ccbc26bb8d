#include "kernels/copy_rows_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value>
struct CopyRowsKernel {
  int64_t width;
  Rows<const Value> from;
  Rows<Value> to;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const int64_t row = Quotient(i, width), place = i - row * width;
    to.data[row * to.stride + place] = from.data[row * from.stride + place];
  }
};

template <typename Value>
void Copy(CUstream_st* stream, int64_t rows, int64_t width,
          Rows<const Value> from, Rows<Value> to) {
  ForEach(stream, "CopyRows", rows * width,
          CopyRowsKernel<Value>{width, from, to});
}

}  // namespace

template <typename Value>
void CopyRows(CUstream_st* stream, int64_t rows, int64_t width,
              Rows<const Value> from, Rows<Value> to) {
  constexpr int n = kRunBytes / sizeof(Value);
  if (Aligned(from.data, to.data) &&
      (width | from.stride | to.stride) % n == 0) {
    using All = Run<Value, n>;
    return Copy<All>(stream, rows, width / n,
                     {reinterpret_cast<const All*>(from.data), from.stride / n},
                     {reinterpret_cast<All*>(to.data), to.stride / n});
  }
  Copy(stream, rows, width, from, to);
}

#define P3D_INSTANTIATE(Value)                                              \
  template void CopyRows(CUstream_st*, int64_t, int64_t, Rows<const Value>, \
                         Rows<Value>)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
