#ifndef P3D_KERNELS_UPDATE_CUDA_HPP_
#define P3D_KERNELS_UPDATE_CUDA_HPP_

#include <cstdint>
#include <vector>

#include "kernels/update.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of update.hpp on a GPU, for many arrays in few launches: the
// same rules, sums in one order always. A net has hundreds of parameters, most
// of them small. Arrays lie in device memory. Each call is put into the stream
// and not waited for; what cannot be launched throws Error.

// *finite becomes false where a weight is not finite now, else stays as it is.
template <typename Dtype>
struct ParamUpdate {
  UpdateStep step;
  int64_t count;
  Dtype *w, *g, *a, *b;
  bool* finite;
};
// All by one rule.
template <typename Dtype>
void Update(CUstream_st* stream, const std::vector<ParamUpdate<Dtype>>& params);

// *sum = the sum of x[i]^2
template <typename Dtype>
struct SquaresOf {
  int64_t count;
  const Dtype* x;
  double* sum;
};
// `scratch` is memory for the length of a call: so many doubles.
constexpr int64_t kSumOfSquaresScratch = 49152;
template <typename Dtype>
void SumOfSquares(CUstream_st* stream,
                  const std::vector<SquaresOf<Dtype>>& arrays, double* scratch);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_UPDATE_CUDA_HPP_
