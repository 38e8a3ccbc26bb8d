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
template <typename Value>
struct Bottoms {
  explicit Bottoms(const std::vector<const Value*>& bottoms)
      : count(static_cast<int>(bottoms.size())) {
    Check(bottoms.size() <= kMost, "an Eltwise on a GPU takes up to ", kMost,
          " bottoms, not ", bottoms.size());
    std::copy(bottoms.begin(), bottoms.end(), x);
  }
  int count;
  const Value* x[kMost] = {};
};

template <typename Value>
struct SumKernel {
  Bottoms<Value> bottoms;
  Value* top;
  RealOf<Value> coefficients[kMost];

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    RealOf<Value> sum = coefficients[0] * bottoms.x[0][i];
    for (int b = 1; b < bottoms.count; ++b) {
      sum += coefficients[b] * bottoms.x[b][i];
    }
    top[i] = sum;
  }
};

template <typename Value>
struct ProdKernel {
  Bottoms<Value> bottoms;
  Value* top;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    RealOf<Value> product = bottoms.x[0][i];
    for (int b = 1; b < bottoms.count; ++b) product *= bottoms.x[b][i];
    top[i] = product;
  }
};

// The bottom whose value EltwiseMax takes.
template <typename Value>
P3D_HOST_DEVICE int Winner(const Bottoms<Value>& bottoms, int64_t i) {
  const Value* const* x = bottoms.x;
  int winner = bottoms.count > 1 && !(x[0][i] > x[1][i]);
  for (int b = 2; b < bottoms.count; ++b) {
    if (x[b][i] > x[winner][i]) winner = b;
  }
  return winner;
}

template <typename Value>
struct MaxKernel {
  Bottoms<Value> bottoms;
  Value* top;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    top[i] = bottoms.x[Winner(bottoms, i)][i];
  }
};

template <typename Value>
struct MaxBackwardKernel {
  Bottoms<Value> bottoms;
  int bottom;
  const Value* dy;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    dx[i] = Winner(bottoms, i) == bottom ? dy[i] : Value(0);
  }
};

}  // namespace

template <typename Value>
void EltwiseSum(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Value* top) {
  SumKernel<Value> kernel = {Bottoms<Value>(bottoms), top, {}};
  std::copy(coefficients.begin(), coefficients.end(), kernel.coefficients);
  ForEach(stream, "EltwiseSum", count, kernel);
}

template <typename Value>
void EltwiseProd(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                 int64_t count, Value* top) {
  ForEach(stream, "EltwiseProd", count,
          ProdKernel<Value>{Bottoms<Value>(bottoms), top});
}

template <typename Value>
void EltwiseMax(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                int64_t count, Value* top) {
  ForEach(stream, "EltwiseMax", count,
          MaxKernel<Value>{Bottoms<Value>(bottoms), top});
}

template <typename Value>
void EltwiseProdBackward(CUstream_st* stream,
                         const std::vector<const Value*>& bottoms,
                         size_t bottom, const Value* dy, int64_t count,
                         Value* dx) {
  std::vector<const Value*> factors = bottoms;
  factors[bottom] = dy;
  EltwiseProd(stream, factors, count, dx);
}

template <typename Value>
void EltwiseMaxBackward(CUstream_st* stream,
                        const std::vector<const Value*>& bottoms, size_t bottom,
                        const Value* dy, int64_t count, Value* dx) {
  ForEach(stream, "EltwiseMaxBackward", count,
          MaxBackwardKernel<Value>{Bottoms<Value>(bottoms),
                                   static_cast<int>(bottom), dy, dx});
}

#define P3D_INSTANTIATE(Value)                                                \
  template void EltwiseSum(CUstream_st*, const std::vector<const Value*>&,    \
                           const std::vector<float>&, int64_t, Value*);       \
  template void EltwiseProd(CUstream_st*, const std::vector<const Value*>&,   \
                            int64_t, Value*);                                 \
  template void EltwiseMax(CUstream_st*, const std::vector<const Value*>&,    \
                           int64_t, Value*);                                  \
  template void EltwiseProdBackward(CUstream_st*,                             \
                                    const std::vector<const Value*>&, size_t, \
                                    const Value*, int64_t, Value*);           \
  template void EltwiseMaxBackward(CUstream_st*,                              \
                                   const std::vector<const Value*>&, size_t,  \
                                   const Value*, int64_t, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
