#include "kernels/order_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

// to[n, b, a] = from[n, a, b], read out of order and written in order.
template <typename Dtype>
struct TransposeKernel {
  int64_t rows, columns;  // a < rows, b < columns
  const Dtype* from;
  Dtype* to;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t line = Quotient(place, rows);
    const int64_t a = place - line * rows;
    const int64_t n = Quotient(line, columns);
    const int64_t b = line - n * columns;
    to[place] = from[(n * rows + a) * columns + b];
  }
};

}  // namespace

template <typename Dtype>
void ToChannelsLast(CUstream_st* stream, const Geometry& g, const Dtype* from,
                    Dtype* to) {
  ForEach(stream, "ToChannelsLast", g.count(),
          TransposeKernel<Dtype>{g.channels, g.pixels, from, to});
}

template <typename Dtype>
void ToCaffeOrder(CUstream_st* stream, const Geometry& g, const Dtype* from,
                  Dtype* to) {
  ForEach(stream, "ToCaffeOrder", g.count(),
          TransposeKernel<Dtype>{g.pixels, g.channels, from, to});
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template void ToChannelsLast(CUstream_st*, const Geometry&, const Dtype*, \
                               Dtype*);                                     \
  template void ToCaffeOrder(CUstream_st*, const Geometry&, const Dtype*,   \
                             Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
