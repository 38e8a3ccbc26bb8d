#ifndef P3D_KERNELS_UPDATE_RULES_HPP_
#define P3D_KERNELS_UPDATE_RULES_HPP_

// The rules of update.hpp for single values, for the CPU and GPUs alike.

#include <cmath>

#include "kernels/cuda/host_device.hpp"
#include "kernels/update.hpp"

namespace p3d {

// A step's numbers in the precision of the weights.
template <typename Dtype>
struct Numbers {
  Numbers() = default;
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
  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    return *a = this->gain * g + this->momentum * *a;
  }
};

template <typename Dtype>
struct Nesterov : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    const Dtype before = *a;
    *a = this->gain * g + this->momentum * before;
    return (1 + this->momentum) * *a - this->momentum * before;
  }
};

template <typename Dtype>
struct AdaGrad : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    *a += g * g;
    return this->gain * g / (std::sqrt(*a) + this->delta);
  }
};

template <typename Dtype>
struct RmsProp : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype* a, Dtype*) const {
    *a = this->decay2 * *a + (1 - this->decay2) * (g * g);
    return this->gain * g / (std::sqrt(*a) + this->delta);
  }
};

template <typename Dtype>
struct AdaDelta : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype* a, Dtype* b) const {
    *a = this->momentum * *a + (1 - this->momentum) * (g * g);
    const Dtype s = g * std::sqrt((*b + this->delta) / (*a + this->delta));
    *b = this->momentum * *b + (1 - this->momentum) * (s * s);
    return this->gain * s;
  }
};

template <typename Dtype>
struct Adam : Numbers<Dtype> {
  using Numbers<Dtype>::Numbers;
  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype* a, Dtype* b) const {
    *a = this->momentum * *a + (1 - this->momentum) * g;
    *b = this->decay2 * *b + (1 - this->decay2) * (g * g);
    return this->gain * *a / (std::sqrt(*b) + this->delta);
  }
};

template <typename Dtype>
P3D_HOST_DEVICE Dtype Sign(Dtype w) {
  return static_cast<Dtype>((w > 0) - (w < 0));
}

// g with the decay of the weight w.
template <typename Dtype>
struct Regularization {
  Regularization() = default;
  explicit Regularization(const UpdateStep& step)
      : scale(static_cast<Dtype>(step.gradient_scale)),
        decay(static_cast<Dtype>(step.decay)),
        l1(step.l1) {}

  P3D_HOST_DEVICE Dtype operator()(Dtype g, Dtype w) const {
    if (decay == 0) return scale * g;
    return scale * g + decay * (l1 ? Sign(w) : w);
  }

  Dtype scale, decay;
  bool l1;
};

}  // namespace p3d

#endif  // P3D_KERNELS_UPDATE_RULES_HPP_
