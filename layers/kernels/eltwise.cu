#include "kernels/eltwise_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr size_t kMost = 16;

// What a kernel can be given of a vector.
template <typename Value>
struct Bottoms {
  using Real = RealOf<Value>;

  explicit Bottoms(const std::vector<const Value*>& bottoms)
      : count(static_cast<int>(bottoms.size())) {
    Check(bottoms.size() <= kMost, "an Eltwise on a GPU takes up to ", kMost,
          " bottoms, not ", bottoms.size());
    std::copy(bottoms.begin(), bottoms.end(), x);
  }
  bool aligned() const {
    return std::all_of(x, x + count,
                       [](const Value* bottom) { return Aligned(bottom); });
  }

  // join(bottom b, what came of those before, its value) over all of them, for
  // each value of the run at i.
  template <typename Result, typename Runs, typename Join>
  P3D_HOST_DEVICE Run<Result, Runs::kWidth> Fold(const Runs& runs, int64_t i,
                                                 const Join& join) const {
    Run<Result, Runs::kWidth> result = {};
    P3D_UNROLL_4
    for (int b = 0; b < count; ++b) {
      const auto values = runs.Read(x[b] + i);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        result[k] = join(b, result[k], Real(values[k]));
      }
    }
    return result;
  }

  int count;
  const Value* x[kMost] = {};
};

template <typename Value>
struct SumKernel {
  using Real = RealOf<Value>;
  Bottoms<Value> bottoms;
  Value* top;
  Real coefficients[kMost];

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto join = [&](int b, Real sum, Real value) {
      return b == 0 ? coefficients[0] * value : sum + coefficients[b] * value;
    };
    runs.ForEach([&](int64_t i) {
      runs.Write(bottoms.template Fold<Real>(runs, i, join), top + i);
    });
  }
};

template <typename Value>
struct ProdKernel {
  using Real = RealOf<Value>;
  Bottoms<Value> bottoms;
  Value* top;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto join = [](int b, Real product, Real value) {
      return b == 0 ? value : product * value;
    };
    runs.ForEach([&](int64_t i) {
      runs.Write(bottoms.template Fold<Real>(runs, i, join), top + i);
    });
  }
};

// Whether EltwiseMax takes bottom b, after `most` of those before.
template <typename Real>
P3D_HOST_DEVICE bool Wins(int b, Real most, Real value) {
  return b == 0 || (b == 1 ? !(most > value) : value > most);
}

template <typename Value>
struct MaxKernel {
  using Real = RealOf<Value>;
  Bottoms<Value> bottoms;
  Value* top;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto join = [](int b, Real most, Real value) {
      return Wins(b, most, value) ? value : most;
    };
    runs.ForEach([&](int64_t i) {
      runs.Write(bottoms.template Fold<Real>(runs, i, join), top + i);
    });
  }
};

template <typename Value>
struct MaxBackwardKernel {
  using Real = RealOf<Value>;
  struct Winner {
    Real most;
    int bottom;
  };
  Bottoms<Value> bottoms;
  int bottom;
  const Value* dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto join = [](int b, Winner before, Real value) {
      return Wins(b, before.most, value) ? Winner{value, b} : before;
    };
    runs.ForEach([&](int64_t i) {
      const auto winners = bottoms.template Fold<Winner>(runs, i, join);
      auto gradients = runs.Read(dy + i);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        if (winners[k].bottom != bottom) gradients[k] = Value(0);
      }
      runs.Write(gradients, dx + i);
    });
  }
};

}  // namespace

template <typename Value>
void EltwiseSum(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Value* top) {
  SumKernel<Value> kernel = {Bottoms<Value>(bottoms), top, {}};
  std::copy(coefficients.begin(), coefficients.end(), kernel.coefficients);
  ForEachRun<Value>(stream, "EltwiseSum", count,
                    kernel.bottoms.aligned() && Aligned(top), kernel);
}

template <typename Value>
void EltwiseProd(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                 int64_t count, Value* top) {
  const Bottoms<Value> all(bottoms);
  ForEachRun<Value>(stream, "EltwiseProd", count, all.aligned() && Aligned(top),
                    ProdKernel<Value>{all, top});
}

template <typename Value>
void EltwiseMax(CUstream_st* stream, const std::vector<const Value*>& bottoms,
                int64_t count, Value* top) {
  const Bottoms<Value> all(bottoms);
  ForEachRun<Value>(stream, "EltwiseMax", count, all.aligned() && Aligned(top),
                    MaxKernel<Value>{all, top});
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
  const Bottoms<Value> all(bottoms);
  ForEachRun<Value>(
      stream, "EltwiseMaxBackward", count, all.aligned() && Aligned(dy, dx),
      MaxBackwardKernel<Value>{all, static_cast<int>(bottom), dy, dx});
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
