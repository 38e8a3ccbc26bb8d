#include "kernels/embed_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/row_lists_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value>
struct EmbedKernel {
  using Real = RealOf<Value>;
  RowIndex<Real> index;
  int64_t outputs;
  const Real *weights, *bias;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    const auto biases = runs.Each(bias);
    runs.ForEach([&](int64_t i) {
      const int64_t row = index.find(Quotient(i, outputs));
      auto values = row < 0 ? Runs::All(Real(NAN))
                            : Runs::Read(weights + row * outputs + runs.d);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) values[k] += biases[k];
      Runs::Write(values, y + i);
    });
  }
};

template <typename Value>
struct EmbedBackwardKernel {
  using Real = RealOf<Value>;
  RowLists<Real> lists;
  int64_t outputs;
  const Value* dy;
  Real* dweights;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      auto sums = Runs::Read(dweights + i);
      lists.Add(runs, i, outputs, dy, &sums);
      Runs::Write(sums, dweights + i);
    });
  }
};

}  // namespace

template <typename Value>
void Embed(CUstream_st* stream, const RowIndex<RealOf<Value>>& index,
           int64_t count, int64_t outputs, const RealOf<Value>* weights,
           const RealOf<Value>* bias, Value* y) {
  ForEachRun<Value>(stream, "Embed", count, outputs, Aligned(weights, bias, y),
                    EmbedKernel<Value>{index, outputs, weights, bias, y});
}

template <typename Value>
void EmbedBackward(CUstream_st* stream, const RowIndex<RealOf<Value>>& index,
                   int64_t count, int64_t outputs, const Value* dy,
                   int64_t* scratch, RealOf<Value>* dweights) {
  const RowLists<RealOf<Value>> lists(stream, index, count, scratch);
  ForEachRun<Value>(stream, "EmbedBackward", index.rows, outputs,
                    Aligned(dy, dweights),
                    EmbedBackwardKernel<Value>{lists, outputs, dy, dweights});
}

#define P3D_INSTANTIATE(Value)                                               \
  template void Embed(CUstream_st*, const RowIndex<RealOf<Value>>&, int64_t, \
                      int64_t, const RealOf<Value>*, const RealOf<Value>*,   \
                      Value*);                                               \
  template void EmbedBackward(CUstream_st*, const RowIndex<RealOf<Value>>&,  \
                              int64_t, int64_t, const Value*, int64_t*,      \
                              RealOf<Value>*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
