#include "kernels/update.hpp"

#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/error.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// A step's numbers in the precision of the weights.
template <typename Dtype>
struct Numbers {
  explicit Numbers(const UpdateStep& step)
      : gain(static_cast<Dtype>(step.gain)),
        momentum(static_cast<Dtype>(step.momentum)),
        decay2(static_cast<Dtype>(step.decay2)),
        delta(static_cast<Dtype>(step.delta)) {}

  Dtype gain, momentum, decay2, delta;
};

// Each rule: the step that follows from a gradient, and the moments after it.

template <typename Dtype>
struct Sgd : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    return *a = this->gain * g + this->momentum * *a;
  }
};

template <typename Dtype>
struct Nesterov : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    const Dtype before = *a;
    *a = this->gain * g + this->momentum * before;
    return (1 + this->momentum) * *a - this->momentum * before;
  }
};

template <typename Dtype>
struct AdaGrad : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    *a += g * g;
    return this->gain * g / (std::sqrt(*a) + this->delta);
  }
};

template <typename Dtype>
struct RmsProp : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    *a = this->decay2 * *a + (1 - this->decay2) * (g * g);
    return this->gain * g / (std::sqrt(*a) + this->delta);
  }
};

template <typename Dtype>
struct AdaDelta : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  Dtype operator()(Dtype g, Dtype* a, Dtype* b) const {
    *a = this->momentum * *a + (1 - this->momentum) * (g * g);
    const Dtype s = g * std::sqrt((*b + this->delta) / (*a + this->delta));
    *b = this->momentum * *b + (1 - this->momentum) * (s * s);
    return this->gain * s;
  }
};

template <typename Dtype>
struct Adam : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  Dtype operator()(Dtype g, Dtype* a, Dtype* b) const {
    *a = this->momentum * *a + (1 - this->momentum) * g;
    *b = this->decay2 * *b + (1 - this->decay2) * (g * g);
    return this->gain * *a / (std::sqrt(*b) + this->delta);
  }
};

template <typename Dtype>
Dtype Sign(Dtype w) {
  return static_cast<Dtype>((w > 0) - (w < 0));
}

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

template <typename Rule, typename Dtype>
bool Apply(const UpdateStep& step, int64_t count, Dtype* w, Dtype* g, Dtype* a,
           Dtype* b) {
  const Rule rule(step);
  const Dtype shrink = static_cast<Dtype>(step.shrink);
  std::atomic<bool> finite(true);
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    Regularize(step, begin, end, w, g);
    bool all = true;
    for (int64_t i = begin; i < end; ++i) {
      Dtype none = 0;
      g[i] = rule(g[i], &a[i], b ? &b[i] : &none) + shrink * w[i];
      w[i] -= g[i];
      all &= std::fabs(w[i]) <= std::numeric_limits<Dtype>::max();
    }
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
  return SumRanges(count, [=](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      sum += static_cast<double>(x[i]) * x[i];
    }
    return sum;
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
