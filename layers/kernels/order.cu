#include "kernels/order_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

// to[n, b, a] = from[n, a, b], read out of order and written in order.
template <typename From, typename To>
struct TransposeKernel {
  int64_t rows, columns;  // a < rows, b < columns
  const From* from;
  To* to;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t line = Quotient(place, rows);
    const int64_t a = place - line * rows;
    const int64_t n = Quotient(line, columns);
    const int64_t b = line - n * columns;
    to[place] = from[(n * rows + a) * columns + b];
  }
};

}  // namespace

template <typename Value>
void ToChannelsLast(CUstream_st* stream, const Geometry& g,
                    const RealOf<Value>* from, Value* to) {
  ForEach(
      stream, "ToChannelsLast", g.count(),
      TransposeKernel<RealOf<Value>, Value>{g.channels, g.pixels, from, to});
}

template <typename Dtype>
void ToCaffeOrder(CUstream_st* stream, const Geometry& g, const Dtype* from,
                  Dtype* to) {
  ForEach(stream, "ToCaffeOrder", g.count(),
          TransposeKernel<Dtype, Dtype>{g.pixels, g.channels, from, to});
}

#define P3D_INSTANTIATE(Value)                                \
  template void ToChannelsLast(CUstream_st*, const Geometry&, \
                               const RealOf<Value>*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

template void ToCaffeOrder(CUstream_st*, const Geometry&, const float*, float*);
template void ToCaffeOrder(CUstream_st*, const Geometry&, const double*,
                           double*);

}  // namespace cuda
}  // namespace p3d
