#include "kernels/eltwise_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda_launch.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr size_t kMost = 16;

template <typename Dtype>
struct SumKernel {
  int count;
  const Dtype* bottoms[kMost];
  Dtype coefficients[kMost];
  Dtype* top;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    Dtype sum = coefficients[0] * bottoms[0][i];
    for (int b = 1; b < count; ++b) sum += coefficients[b] * bottoms[b][i];
    top[i] = sum;
  }
};

}  // namespace

template <typename Dtype>
void EltwiseSum(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Dtype* top) {
  Check(bottoms.size() <= kMost, "a sum on a GPU takes up to ", kMost,
        " bottoms, not ", bottoms.size());
  SumKernel<Dtype> kernel = {};
  kernel.count = static_cast<int>(bottoms.size());
  kernel.top = top;
  for (size_t b = 0; b < bottoms.size(); ++b) {
    kernel.bottoms[b] = bottoms[b];
    kernel.coefficients[b] = static_cast<Dtype>(coefficients[b]);
  }
  ForEach(stream, "EltwiseSum", count, kernel);
}

#define P3D_INSTANTIATE(Dtype)                                             \
  template void EltwiseSum(CUstream_st*, const std::vector<const Dtype*>&, \
                           const std::vector<float>&, int64_t, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
