#include "kernels/update_cuda.hpp"

// The header that this file implements comes first.
#include <cfloat>
#include <cmath>

#include "kernels/cuda_launch.hpp"
#include "kernels/error.hpp"
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

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    Dtype none = 0;
    const Dtype gradient = regularize(g[i], w[i]);
    g[i] = rule(gradient, &a[i], b ? &b[i] : &none) + shrink * w[i];
    w[i] -= g[i];
    if (!(std::fabs(w[i]) <= Largest(w[i]))) *finite = false;
  }
  P3D_HOST_DEVICE static float Largest(float) { return FLT_MAX; }
  P3D_HOST_DEVICE static double Largest(double) { return DBL_MAX; }
};

template <typename Rule, typename Dtype>
void Apply(CUstream_st* stream, const UpdateStep& step, int64_t count, Dtype* w,
           Dtype* g, Dtype* a, Dtype* b, bool* finite) {
  ForEach(stream, "Update", count,
          UpdateKernel<Rule, Dtype>{Rule(step), Regularization<Dtype>(step),
                                    static_cast<Dtype>(step.shrink), w, g, a, b,
                                    finite});
}

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

#define P3D_INSTANTIATE(Dtype)                                           \
  template void Update(CUstream_st*, const UpdateStep&, int64_t, Dtype*, \
                       Dtype*, Dtype*, Dtype*, bool*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
