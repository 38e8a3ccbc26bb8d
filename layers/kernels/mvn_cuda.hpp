#ifndef P3D_KERNELS_MVN_CUDA_HPP_
#define P3D_KERNELS_MVN_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Each channel of each image normalised by itself, on a GPU; on processors this
// is done by what bn.hpp has. Sums are taken in double, in one order always.
// Arrays lie in device memory. Each call is put into the stream and not waited
// for; what cannot be launched throws Error.
//
// `scratch` is memory for the length of a call: MvnScratchSize doubles.
int64_t MvnScratchSize(const Geometry& geometry, Order order);

//   mean[n * channels + c] = the mean of x[n, c, :]
//   deviation[likewise] = sqrt(their variance) + eps, without `variance` 1
//   y[n, c, p] = (x[n, c, p] - mean) / deviation
//
// y may be x.
template <typename Value>
void MvnNormalize(CUstream_st* stream, const Geometry& geometry, Order order,
                  bool variance, double eps, const Value* x, double* scratch,
                  double* mean, double* deviation, Value* y);

// Its gradient by what that left, over the m pixels of an image:
//
//   dx = (dy - sum dy / m - (x - mean) sum dy (x - mean) / (m deviation^2))
//        / deviation
//
// without `variance` dy - sum dy / m. dx may be dy, but not x.
template <typename Value>
void MvnBackward(CUstream_st* stream, const Geometry& geometry, Order order,
                 bool variance, const double* mean, const double* deviation,
                 const Value* x, const Value* dy, double* scratch, Value* dx);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MVN_CUDA_HPP_
