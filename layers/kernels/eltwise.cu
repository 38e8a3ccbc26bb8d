#include "kernels/eltwise_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/cuda_launch.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr size_t kMost = 16;

// What a kernel can be given of a vector.
template <typename Dtype>
struct Bottoms {
  explicit Bottoms(const std::vector<const Dtype*>& bottoms)
      : count(static_cast<int>(bottoms.size())) {
    Check(bottoms.size() <= kMost, "an Eltwise on a GPU takes up to ", kMost,
          " bottoms, not ", bottoms.size());
    std::copy(bottoms.begin(), bottoms.end(), x);
  }
  int count;
  const Dtype* x[kMost] = {};
};

template <typename Dtype>
struct SumKernel {
  Bottoms<Dtype> bottoms;
  Dtype* top;
  Dtype coefficients[kMost];

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    Dtype sum = coefficients[0] * bottoms.x[0][i];
    for (int b = 1; b < bottoms.count; ++b) {
      sum += coefficients[b] * bottoms.x[b][i];
    }
    top[i] = sum;
  }
};

template <typename Dtype>
struct ProdKernel {
  Bottoms<Dtype> bottoms;
  Dtype* top;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    Dtype product = bottoms.x[0][i];
    for (int b = 1; b < bottoms.count; ++b) product *= bottoms.x[b][i];
    top[i] = product;
  }
};

// The bottom whose value EltwiseMax takes.
template <typename Dtype>
P3D_HOST_DEVICE int Winner(const Bottoms<Dtype>& bottoms, int64_t i) {
  const Dtype* const* x = bottoms.x;
  int winner = bottoms.count > 1 && !(x[0][i] > x[1][i]);
  for (int b = 2; b < bottoms.count; ++b) {
    if (x[b][i] > x[winner][i]) winner = b;
  }
  return winner;
}

template <typename Dtype>
struct MaxKernel {
  Bottoms<Dtype> bottoms;
  Dtype* top;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    top[i] = bottoms.x[Winner(bottoms, i)][i];
  }
};

template <typename Dtype>
struct MaxBackwardKernel {
  Bottoms<Dtype> bottoms;
  int bottom;
  const Dtype* dy;
  Dtype* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = Winner(bottoms, i) == bottom ? dy[i] : Dtype(0);
  }
};

}  // namespace

template <typename Dtype>
void EltwiseSum(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Dtype* top) {
  SumKernel<Dtype> kernel = {Bottoms<Dtype>(bottoms), top, {}};
  std::copy(coefficients.begin(), coefficients.end(), kernel.coefficients);
  ForEach(stream, "EltwiseSum", count, kernel);
}

template <typename Dtype>
void EltwiseProd(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                 int64_t count, Dtype* top) {
  ForEach(stream, "EltwiseProd", count,
          ProdKernel<Dtype>{Bottoms<Dtype>(bottoms), top});
}

template <typename Dtype>
void EltwiseMax(CUstream_st* stream, const std::vector<const Dtype*>& bottoms,
                int64_t count, Dtype* top) {
  ForEach(stream, "EltwiseMax", count,
          MaxKernel<Dtype>{Bottoms<Dtype>(bottoms), top});
}

template <typename Dtype>
void EltwiseProdBackward(CUstream_st* stream,
                         const std::vector<const Dtype*>& bottoms,
                         size_t bottom, const Dtype* dy, int64_t count,
                         Dtype* dx) {
  std::vector<const Dtype*> factors = bottoms;
  factors[bottom] = dy;
  EltwiseProd(stream, factors, count, dx);
}

template <typename Dtype>
void EltwiseMaxBackward(CUstream_st* stream,
                        const std::vector<const Dtype*>& bottoms, size_t bottom,
                        const Dtype* dy, int64_t count, Dtype* dx) {
  ForEach(stream, "EltwiseMaxBackward", count,
          MaxBackwardKernel<Dtype>{Bottoms<Dtype>(bottoms),
                                   static_cast<int>(bottom), dy, dx});
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void EltwiseSum(CUstream_st*, const std::vector<const Dtype*>&,    \
                           const std::vector<float>&, int64_t, Dtype*);       \
  template void EltwiseProd(CUstream_st*, const std::vector<const Dtype*>&,   \
                            int64_t, Dtype*);                                 \
  template void EltwiseMax(CUstream_st*, const std::vector<const Dtype*>&,    \
                           int64_t, Dtype*);                                  \
  template void EltwiseProdBackward(CUstream_st*,                             \
                                    const std::vector<const Dtype*>&, size_t, \
                                    const Dtype*, int64_t, Dtype*);           \
  template void EltwiseMaxBackward(CUstream_st*,                              \
                                   const std::vector<const Dtype*>&, size_t,  \
                                   const Dtype*, int64_t, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
