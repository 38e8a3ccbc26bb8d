#ifndef P3D_KERNELS_POINTWISE_FORMULAS_HPP_
#define P3D_KERNELS_POINTWISE_FORMULAS_HPP_

#include <cmath>

#include "kernels/cuda/host_device.hpp"

namespace p3d {

// The functions of pointwise.hpp for one value v: written once for the host and
// for GPUs. Those of gradients take d, the gradient of f(v), too; v is f(v)
// where the header says "from y".

template <typename Dtype>
P3D_HOST_DEVICE Dtype AboveZero(Dtype v) {
  return v < 0 ? Dtype(0) : v;
}
template <typename Dtype>
P3D_HOST_DEVICE Dtype BelowZero(Dtype v) {
  return v > 0 ? Dtype(0) : v;
}
template <typename Dtype>
P3D_HOST_DEVICE Dtype Logistic(Dtype v) {
  return 1 / (1 + std::exp(-v));
}
template <typename Dtype>
P3D_HOST_DEVICE Dtype Rectify(Dtype v, Dtype slope) {
  return AboveZero(v) + slope * BelowZero(v);
}

template <typename Dtype>
struct AbsOf {
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const { return std::fabs(v); }
};
template <typename Dtype>
struct AbsSlope {
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return v > 0 ? d : v < 0 ? -d : Dtype(0);
  }
};

template <typename Dtype>
struct BnllOf {
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return AboveZero(v) + std::log1p(std::exp(-std::fabs(v)));
  }
};
template <typename Dtype>
struct BnllSlope {
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return d * Logistic(v);
  }
};

template <typename Dtype>
struct ClipOf {
  Dtype least, most;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    const Dtype below = most < v ? most : v;
    return least < below ? below : least;
  }
};
template <typename Dtype>
struct ClipSlope {
  Dtype least, most;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return v >= least && v <= most ? d : Dtype(0);
  }
};

template <typename Dtype>
struct EluOf {
  Dtype alpha;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return AboveZero(v) + alpha * std::expm1(BelowZero(v));
  }
};
template <typename Dtype>
struct EluSlope {
  Dtype alpha;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d, Dtype y) const {
    return v > 0 ? d : d * (alpha + y);
  }
};

template <typename Dtype>
struct ExpOf {
  Dtype scale, factor;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return factor * std::exp(scale * v);
  }
};
template <typename Dtype>
struct ExpSlope {
  Dtype scale;
  P3D_HOST_DEVICE Dtype operator()(Dtype y, Dtype d) const {
    return d * y * scale;
  }
};

template <typename Dtype>
struct LogOf {
  Dtype scale, shift, factor;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return factor * std::log(scale * v + shift);
  }
};
template <typename Dtype>
struct LogSlope {
  Dtype scale, shift, factor;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return d * (factor * scale / (scale * v + shift));
  }
};

template <typename Dtype>
struct ConstantOf {
  Dtype value;
  P3D_HOST_DEVICE Dtype operator()(Dtype) const { return value; }
};
template <typename Dtype>
struct LinearOf {
  Dtype scale, shift;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const { return scale * v + shift; }
};
template <typename Dtype>
struct SquareOf {
  Dtype scale, shift;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    const Dtype base = scale * v + shift;
    return base * base;
  }
};
template <typename Dtype>
struct PowerOf {
  Dtype power, scale, shift;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return std::pow(scale * v + shift, power);
  }
};
// run(the function that Power is).
template <typename Dtype, typename Run>
void WithPower(Dtype power, Dtype scale, Dtype shift, const Run& run) {
  if (power == 0) return run(ConstantOf<Dtype>{1});
  if (scale == 0) return run(ConstantOf<Dtype>{std::pow(shift, power)});
  if (power == 1) return run(LinearOf<Dtype>{scale, shift});
  if (power == 2) return run(SquareOf<Dtype>{scale, shift});
  run(PowerOf<Dtype>{power, scale, shift});
}

template <typename Dtype>
struct ConstantSlope {
  Dtype slope;
  P3D_HOST_DEVICE Dtype operator()(Dtype, Dtype d) const { return d * slope; }
};
template <typename Dtype>
struct SquareSlope {
  Dtype slope, scale, shift;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return d * slope * (scale * v + shift);
  }
};
template <typename Dtype>
struct PowerSlope {
  Dtype power, slope, scale, shift;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return d * slope * std::pow(scale * v + shift, power - 1);
  }
};
// run(the function that PowerBackward is).
template <typename Dtype, typename Run>
void WithPowerSlope(Dtype power, Dtype scale, Dtype shift, const Run& run) {
  const Dtype slope = power * scale;
  if (slope == 0 || power == 1) return run(ConstantSlope<Dtype>{slope});
  if (power == 2) return run(SquareSlope<Dtype>{slope, scale, shift});
  run(PowerSlope<Dtype>{power, slope, scale, shift});
}

template <typename Dtype>
struct ReluOf {
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const { return AboveZero(v); }
};
template <typename Dtype>
struct LeakyReluOf {
  Dtype slope;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const { return Rectify(v, slope); }
};
template <typename Dtype>
struct ReluSlope {
  Dtype slope;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    return v > 0 ? d : slope * d;
  }
};

template <typename Dtype>
struct SigmoidOf {
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const { return Logistic(v); }
};
template <typename Dtype>
struct SigmoidSlope {
  P3D_HOST_DEVICE Dtype operator()(Dtype y, Dtype d) const {
    return d * y * (1 - y);
  }
};

// Multiplied, not divided: where exp overflows the sigmoid is 0, as Caffe's.
template <typename Dtype>
struct SwishOf {
  Dtype beta;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return v * Logistic(beta * v);
  }
};
template <typename Dtype>
struct SwishSlope {
  Dtype beta;
  P3D_HOST_DEVICE Dtype operator()(Dtype v, Dtype d) const {
    const Dtype s = Logistic(beta * v);
    const Dtype y = beta * v * s;
    return d * (y + s * (1 - y));
  }
};

template <typename Dtype>
struct TanhOf {
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const { return std::tanh(v); }
};
template <typename Dtype>
struct TanhSlope {
  P3D_HOST_DEVICE Dtype operator()(Dtype y, Dtype d) const {
    return d * (1 - y * y);
  }
};

template <typename Dtype>
struct ThresholdOf {
  Dtype threshold;
  P3D_HOST_DEVICE Dtype operator()(Dtype v) const {
    return v > threshold ? Dtype(1) : Dtype(0);
  }
};

}  // namespace p3d

#endif  // P3D_KERNELS_POINTWISE_FORMULAS_HPP_
