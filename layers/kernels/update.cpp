#include "kernels/update.hpp"

#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/error.hpp"
#include "kernels/ranges.hpp"
#include "kernels/update_rules.hpp"

namespace p3d {
namespace {

// g with the decay of the weights, once per kind of decay.
template <typename Dtype>
void Regularize(const UpdateStep& step, int64_t begin, int64_t end,
                const Dtype* w, Dtype* g) {
  const Dtype scale = static_cast<Dtype>(step.gradient_scale);
  const Dtype decay = static_cast<Dtype>(step.decay);
  if (decay == 0) {
    if (scale == 1) return;
    for (int64_t i = begin; i < end; ++i) g[i] *= scale;
  } else if (step.l1) {
    for (int64_t i = begin; i < end; ++i) {
      g[i] = scale * g[i] + decay * Sign(w[i]);
    }
  } else {
    for (int64_t i = begin; i < end; ++i) g[i] = scale * g[i] + decay * w[i];
  }
}

// Returns whether all weights are finite now. A loop without branches or
// aliases, so that compilers turn it into vectors where the rule permits.
template <typename Rule, typename Dtype>
bool Take(const Rule& rule, Dtype shrink, int64_t count, Dtype* __restrict w,
          Dtype* __restrict g, Dtype* __restrict a, Dtype* __restrict b) {
  const Rule own = rule;  // which stores through g do not change
  int finite = 1;
  for (int64_t i = 0; i < count; ++i) {
    g[i] = own(g[i], &a[i], &b[i]) + shrink * w[i];
    w[i] -= g[i];
    finite &= std::fabs(w[i]) <= std::numeric_limits<Dtype>::max();
  }
  return finite;
}

template <typename Rule, typename Dtype>
bool Apply(const UpdateStep& step, int64_t count, Dtype* w, Dtype* g, Dtype* a,
           Dtype* b) {
  const Rule rule(step);
  const Dtype shrink = static_cast<Dtype>(step.shrink);
  Dtype* const second = b ? b : a;  // a rule without one does not read it
  std::atomic<bool> finite(true);
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    Regularize(step, begin, end, w, g);
    const bool all = Take(rule, shrink, end - begin, w + begin, g + begin,
                          a + begin, second + begin);
    if (!all) finite = false;
  });
  return finite;
}

}  // namespace

bool HasSecondMoment(UpdateRule rule) {
  return rule == UpdateRule::kAdaDelta || rule == UpdateRule::kAdam;
}

template <typename Dtype>
bool Update(const UpdateStep& step, int64_t count, Dtype* w, Dtype* g, Dtype* a,
            Dtype* b) {
  switch (step.rule) {
    case UpdateRule::kSgd:
      return Apply<Sgd<Dtype>>(step, count, w, g, a, b);
    case UpdateRule::kNesterov:
      return Apply<Nesterov<Dtype>>(step, count, w, g, a, b);
    case UpdateRule::kAdaGrad:
      return Apply<AdaGrad<Dtype>>(step, count, w, g, a, b);
    case UpdateRule::kRmsProp:
      return Apply<RmsProp<Dtype>>(step, count, w, g, a, b);
    case UpdateRule::kAdaDelta:
      return Apply<AdaDelta<Dtype>>(step, count, w, g, a, b);
    case UpdateRule::kAdam:
      return Apply<Adam<Dtype>>(step, count, w, g, a, b);
  }
  Fail("there is no such update rule");
}

template <typename Dtype>
double SumOfSquares(int64_t count, const Dtype* x) {
  // One sum would have each addition wait for the one before.
  constexpr int64_t kSums = 8;
  return SumRanges(count, [=](int64_t begin, int64_t end) {
    double sums[kSums] = {};
    int64_t i = begin;
    for (; i + kSums <= end; i += kSums) {
      for (int64_t s = 0; s < kSums; ++s) {
        sums[s] += static_cast<double>(x[i + s]) * x[i + s];
      }
    }
    for (; i < end; ++i) sums[0] += static_cast<double>(x[i]) * x[i];
    return std::accumulate(sums, sums + kSums, 0.);
  });
}

#define P3D_INSTANTIATE(Dtype)                                             \
  template bool Update(const UpdateStep&, int64_t, Dtype*, Dtype*, Dtype*, \
                       Dtype*);                                            \
  template double SumOfSquares(int64_t, const Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
