#ifndef P3D_KERNELS_UPDATE_HPP_
#define P3D_KERNELS_UPDATE_HPP_

#include <cstdint>

namespace p3d {

// One update of weights w by their gradient g, as Caffe's solvers do it:
//
//   g := gradient_scale * g + decay * w      (l1: decay * sign(w))
//   g := the step of the rule + shrink * w
//   w := w - g
//
// with the moments a and, for kAdaDelta and kAdam, b of the steps before, which
// start from 0:
//
//   kSgd       a := momentum a + gain g;  step a
//   kNesterov  a as before (gain = rate); step (1 + momentum) a - momentum a'
//              where a' is a before
//   kAdaGrad   a := a + g^2;              step gain g / (sqrt(a) + delta)
//   kRmsProp   a := decay2 a + (1 - decay2) g^2;  the same step
//   kAdaDelta  a := momentum a + (1 - momentum) g^2
//              s  = g sqrt((b + delta) / (a + delta))
//              b := momentum b + (1 - momentum) s^2;  step gain s
//   kAdam      a := momentum a + (1 - momentum) g
//              b := decay2 b + (1 - decay2) g^2;  step gain a /
//              (sqrt(b) + delta)
//
// The rate is part of gain. kAdam's gain holds its bias correction.
enum class UpdateRule { kSgd, kNesterov, kAdaGrad, kRmsProp, kAdaDelta, kAdam };

struct UpdateStep {
  UpdateRule rule = UpdateRule::kSgd;
  bool l1 = false;
  double gradient_scale = 1;
  double decay = 0;
  double shrink = 0;
  double gain = 0;
  double momentum = 0;
  double decay2 = 0;
  double delta = 0;
};

// Whether the rule has the second moment b.
bool HasSecondMoment(UpdateRule rule);

// Does the update of `count` values; b may be null where the rule has none. In
// g the step remains. Returns whether all weights are finite now.
template <typename Dtype>
bool Update(const UpdateStep& step, int64_t count, Dtype* w, Dtype* g, Dtype* a,
            Dtype* b);

// The sum of x[i]^2, in double precision: NaN or infinite where an x[i] is.
template <typename Dtype>
double SumOfSquares(int64_t count, const Dtype* x);

}  // namespace p3d

#endif  // P3D_KERNELS_UPDATE_HPP_
