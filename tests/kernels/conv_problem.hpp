#ifndef P3D_TESTS_KERNELS_CONV_PROBLEM_HPP_
#define P3D_TESTS_KERNELS_CONV_PROBLEM_HPP_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "conv_cases.hpp"
#include "kernels/conv.hpp"
#include "kernels/conv_reference.hpp"
#include "testing.hpp"

namespace testing {

inline int64_t InCount(const p3d::ConvShape& shape) {
  return shape.num * shape.in_pixels() * shape.channels;
}
inline int64_t OutCount(const p3d::ConvShape& shape) {
  return shape.num * shape.out_pixels() * shape.num_output;
}

inline p3d::BlobStrides InStrides(const p3d::ConvShape& shape) {
  return p3d::BlobStrides::ChannelsLast(shape.channels, shape.in_sizes());
}
inline p3d::BlobStrides OutStrides(const p3d::ConvShape& shape) {
  return p3d::BlobStrides::ChannelsLast(shape.num_output, shape.out_sizes());
}

// What of an epilogue is used.
enum Use {
  kScale = 1,
  kShift = 2,
  kInner = 4,
  kResidual = 8,
  kOuter = 16,
  kInPlace = 32
};

// A case's data and the sums without epilogue, in double.
struct Problem {
  explicit Problem(const std::string& text)
      : text(text),
        shape(Parse(text)),
        x(InCount(shape)),
        weights(shape.weight_count()),
        scale(shape.num_output),
        shift(shape.num_output),
        residual(OutCount(shape)),
        sums(OutCount(shape)) {
    Fill(x.get(), x.count(), 4, 1, 1);
    Fill(weights.get(), weights.count(), 3, 1, 2);
    Fill(scale.get(), scale.count(), 2, .5f, 3);
    Fill(shift.get(), shift.count(), 9, 1, 4);
    Fill(residual.get(), residual.count(), 50, 1, 5);
    Sum();
  }

  void Sum() {
    const std::vector<double> wide_x(x.get(), x.get() + x.count());
    const std::vector<double> wide_weights(weights.get(),
                                           weights.get() + weights.count());
    p3d::ConvReference<double>(shape, InStrides(shape), wide_x.data(),
                               wide_weights.data(), OutStrides(shape),
                               sums.data());
  }

  // Of what `use` says; `values` are the residual, in place y's.
  template <typename Value>
  p3d::Epilogue<Value> EpilogueOf(int use, const GuardedOf<Value>& values,
                                  GuardedOf<Value>* y) const {
    p3d::Epilogue<Value> e;
    if (use & kScale) e.scale = scale.get();
    if (use & kShift) e.shift = shift.get();
    e.inner_relu = use & kInner;
    e.outer_relu = use & kOuter;
    if (use & kResidual) e.residual = values.get();
    if (use & kInPlace) {
      std::copy_n(values.get(), y->count(), y->get());
      e.residual = y->get();
    }
    if (e.residual) e.alpha = .5f, e.beta = use & kOuter ? 3.f : -2.f;
    return e;
  }

  template <typename Value>
  double Expected(int64_t i, const p3d::Epilogue<Value>& e) const {
    const int64_t o = i % shape.num_output;
    double v = sums[i];
    if (e.scale) v *= scale.get()[o];
    if (e.shift) v += shift.get()[o];
    if (e.inner_relu) v = std::max(v, 0.0);
    if (e.residual) v = e.alpha * v + e.beta * residual.get()[i];
    if (e.outer_relu) v = std::max(v, 0.0);
    return v;
  }

  std::string text;
  p3d::ConvShape shape;
  Guarded x, weights, scale, shift, residual;
  std::vector<double> sums;
};

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_CONV_PROBLEM_HPP_
