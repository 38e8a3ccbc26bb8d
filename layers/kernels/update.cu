#include "kernels/update_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/error.hpp"
#include "kernels/runs_cuda.hpp"
#include "kernels/update_rules.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Rule, typename Dtype>
struct UpdateKernel {
  Rule rule;
  Regularization<Dtype> regularize;
  Dtype shrink;
  Dtype *w, *g, *a, *b;
  bool* finite;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      auto weights = runs.Read(w + i), steps = runs.Read(g + i),
           first = runs.Read(a + i), second = first;
      if (b) second = runs.Read(b + i);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        const Dtype gradient = regularize(steps[k], weights[k]);
        steps[k] = rule(gradient, &first[k], &second[k]) + shrink * weights[k];
        weights[k] -= steps[k];
        if (!(std::fabs(weights[k]) <= Largest(weights[k]))) *finite = false;
      }
      runs.Write(weights, w + i);
      runs.Write(steps, g + i);
      runs.Write(first, a + i);
      if (b) runs.Write(second, b + i);
    });
  }
  P3D_HOST_DEVICE static float Largest(float) { return FLT_MAX; }
  P3D_HOST_DEVICE static double Largest(double) { return DBL_MAX; }
};

template <typename Rule, typename Dtype>
void Apply(CUstream_st* stream, const UpdateStep& step, int64_t count, Dtype* w,
           Dtype* g, Dtype* a, Dtype* b, bool* finite) {
  ForEachRun<Dtype>(stream, "Update", count, Aligned(w, g, a, b),
                    UpdateKernel<Rule, Dtype>{
                        Rule(step), Regularization<Dtype>(step),
                        static_cast<Dtype>(step.shrink), w, g, a, b, finite});
}

// Row `part`: the sum of the squares of that part of x.
template <typename Dtype>
struct SquareSums {
  int64_t count, parts;
  const Dtype* x;
  double* sums;

  P3D_HOST_DEVICE double Sum(int64_t part, int64_t lane) const {
    const int64_t end = Quotient(count * (part + 1), parts);
    double sum = 0;
    P3D_UNROLL_4
    for (int64_t i = Quotient(count * part, parts) + lane; i < end;
         i += kThreads) {
      sum += static_cast<double>(x[i]) * x[i];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t part, double sum) const {
    sums[part] = sum;
  }
};

// One row: the sum of the parts.
struct TotalSum {
  int64_t parts;
  const double* sums;
  double* total;

  P3D_HOST_DEVICE double Sum(int64_t, int64_t lane) const {
    double sum = 0;
    for (int64_t part = lane; part < parts; part += kThreads) sum += sums[part];
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t, double sum) const { *total = sum; }
};

}  // namespace

template <typename Dtype>
void Update(CUstream_st* stream, const UpdateStep& step, int64_t count,
            Dtype* w, Dtype* g, Dtype* a, Dtype* b, bool* finite) {
  switch (step.rule) {
    case UpdateRule::kSgd:
      return Apply<Sgd<Dtype>>(stream, step, count, w, g, a, b, finite);
    case UpdateRule::kNesterov:
      return Apply<Nesterov<Dtype>>(stream, step, count, w, g, a, b, finite);
    case UpdateRule::kAdaGrad:
      return Apply<AdaGrad<Dtype>>(stream, step, count, w, g, a, b, finite);
    case UpdateRule::kRmsProp:
      return Apply<RmsProp<Dtype>>(stream, step, count, w, g, a, b, finite);
    case UpdateRule::kAdaDelta:
      return Apply<AdaDelta<Dtype>>(stream, step, count, w, g, a, b, finite);
    case UpdateRule::kAdam:
      return Apply<Adam<Dtype>>(stream, step, count, w, g, a, b, finite);
  }
  Fail("there is no such update rule");
}

// From the count alone, lest results depend on the GPU.
int64_t SumOfSquaresScratchSize(int64_t count) {
  constexpr int64_t kParts = 2048;       // at most
  constexpr int64_t kPartValues = 4096;  // at least
  return std::min(kParts, std::max<int64_t>(1, count / kPartValues));
}

template <typename Dtype>
void SumOfSquares(CUstream_st* stream, int64_t count, const Dtype* x,
                  double* scratch, double* sum) {
  const int64_t parts = SumOfSquaresScratchSize(count);
  SumRows(stream, "SumOfSquares", parts,
          SquareSums<Dtype>{count, parts, x, scratch});
  SumRows(stream, "SumOfSquares total", 1, TotalSum{parts, scratch, sum});
}

#define P3D_INSTANTIATE(Dtype)                                             \
  template void Update(CUstream_st*, const UpdateStep&, int64_t, Dtype*,   \
                       Dtype*, Dtype*, Dtype*, bool*);                     \
  template void SumOfSquares(CUstream_st*, int64_t, const Dtype*, double*, \
                             double*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
