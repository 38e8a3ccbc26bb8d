#include "kernels/reduction_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/channel_sums_cuda.hpp"
#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/reduction_formulas.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Formula, typename Value>
struct ReductionTerm {
  const Value* x;
  template <typename Runs>
  P3D_HOST_DEVICE auto operator()(const Runs& runs) const {
    const auto f = [](int, double v) { return Pair{Formula::Term(v), 0}; };
    return runs.Sum(f, x);
  }
};

template <typename Dtype>
struct FinishReduction {
  Dtype factor;
  Dtype* y;
  P3D_HOST_DEVICE void operator()(int64_t row, const Pair& sum) const {
    y[row] = static_cast<Dtype>(factor * sum.first);
  }
};

template <typename Formula, typename Value>
struct ReductionBackwardKernel {
  using Real = RealOf<Value>;
  const Value* x;
  Real factor;
  const Real* dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto gradients = runs.Each(dy);
    const auto f = [&](int k, Real v) {
      return static_cast<Value>(factor * gradients[k] * Formula::Slope(v));
    };
    runs.Map(dx, f, x);
  }
};

// Of a sum, whose slope needs no x.
template <typename Value>
struct ReductionBackwardKernel<ReductionOf<Reduction::kSum>, Value> {
  using Real = RealOf<Value>;
  const Value* x;
  Real factor;
  const Real* dy;
  Value* dx;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto gradients = runs.Each(dy);
    const auto f = [&](int, Real d) { return static_cast<Value>(factor * d); };
    const auto values = Runs::template Apply<Value>(f, gradients);
    runs.ForEach([&](int64_t i) { Runs::Write(values, dx + i); });
  }
};

}  // namespace

template <typename Value>
void ReduceRows(CUstream_st* stream, Reduction reduction, int64_t rows,
                int64_t width, const Value* x, RealOf<Value> factor,
                double* scratch, RealOf<Value>* y) {
  WithReduction(reduction, [&](auto formula) {
    using Formula = decltype(formula);
    SumChannels<Value>(stream, "ReduceRows", {1, rows, width}, Aligned(x),
                       ReductionTerm<Formula, Value>{x}, scratch,
                       FinishReduction<RealOf<Value>>{factor, y});
  });
}

template <typename Value>
void ReduceRowsBackward(CUstream_st* stream, Reduction reduction, int64_t rows,
                        int64_t width, const Value* x, RealOf<Value> factor,
                        const RealOf<Value>* dy, Value* dx) {
  WithReduction(reduction, [&](auto formula) {
    using Formula = decltype(formula);
    ForEachRun<Value>(
        stream, "ReduceRowsBackward", Broadcast{1, rows, width},
        Aligned(x, dy, dx),
        ReductionBackwardKernel<Formula, Value>{x, factor, dy, dx});
  });
}

#define P3D_INSTANTIATE(Value)                                                \
  template void ReduceRows(CUstream_st*, Reduction, int64_t, int64_t,         \
                           const Value*, RealOf<Value>, double*,              \
                           RealOf<Value>*);                                   \
  template void ReduceRowsBackward(CUstream_st*, Reduction, int64_t, int64_t, \
                                   const Value*, RealOf<Value>,               \
                                   const RealOf<Value>*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
