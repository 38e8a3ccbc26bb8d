#include "kernels/copy_rows_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct CopyRowsKernel {
  int64_t width;
  Rows<const Dtype> from;
  Rows<Dtype> to;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const int64_t row = Quotient(i, width), place = i - row * width;
    to.data[row * to.stride + place] = from.data[row * from.stride + place];
  }
};

}  // namespace

template <typename Dtype>
void CopyRows(CUstream_st* stream, int64_t rows, int64_t width,
              Rows<const Dtype> from, Rows<Dtype> to) {
  ForEach(stream, "CopyRows", rows * width,
          CopyRowsKernel<Dtype>{width, from, to});
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template void CopyRows(CUstream_st*, int64_t, int64_t, Rows<const Dtype>, \
                         Rows<Dtype>)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
