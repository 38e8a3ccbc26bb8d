#ifndef P3D_TESTS_KERNELS_CONV_PROBLEM_HPP_
#define P3D_TESTS_KERNELS_CONV_PROBLEM_HPP_

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "conv_cases.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/cpu/thread_pool.hpp"
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

// Values as others.
template <typename Value>
GuardedOf<Value> As(const Guarded& values) {
  GuardedOf<Value> other(values.count());
  std::copy_n(values.get(), values.count(), other.get());
  return other;
}

// A result as it is stored: floats hold those of whole numbers.
inline double Stored(double value, float) { return value; }
inline double Stored(double value, p3d::Bf16) {
  return p3d::Bf16(static_cast<float>(value));
}

// Runs of a convolution of Values to Outs with all parts of epilogues, or some,
// and several numbers of threads, each against the sums.
template <typename Value, typename Out, typename Convolution>
class Runs {
 public:
  Runs(const Problem& problem, const Convolution& conv, const Guarded& packed,
       const std::string& reproduce)
      : problem_(problem),
        conv_(conv),
        packed_(packed),
        reproduce_(reproduce),
        x_(As<Value>(problem.x)),
        residual_(As<Out>(problem.residual)) {}

  void Check(bool all_epilogues) const {
    for (int threads : {1, 2, 3}) {
      Check(0, threads);
      Check(kScale | kShift | kResidual | kOuter, threads);
    }
    if (!all_epilogues) return;
    for (int use = 1; use < 64; ++use) {
      if ((use & kResidual) && (use & kInPlace)) continue;
      Check(use, 2);
    }
  }

 private:
  void Check(int use, int threads) const {
    GuardedOf<Out> y(OutCount(problem_.shape));
    Guarded workspace(conv_.workspace_size());
    const p3d::Epilogue<Out> e = problem_.EpilogueOf(use, residual_, &y);
    p3d::SetNumThreads(threads);
    p3d::NextWeights next;
    if (threads > 1) next = {packed_.get(), packed_.count()};
    conv_.Run(x_.get(), packed_.get(), e, y.get(), workspace.get(), next);

    std::ostringstream where;
    where << reproduce_ << " (epilogue " << use << ", threads " << threads
          << ")";
    for (int64_t i = 0; i < y.count(); ++i) {
      const double expected = Stored(problem_.Expected(i, e), Out());
      if (y.get()[i] == expected) continue;
      where << ": y[" << i << "] is " << y.get()[i] << " instead of "
            << expected;
      Expect(false, where.str());
      return;
    }
    Expect(y.intact() && workspace.intact(),
           where.str() + ": overruns a buffer");
  }

  const Problem& problem_;
  const Convolution& conv_;
  const Guarded& packed_;
  const std::string reproduce_;
  const GuardedOf<Value> x_;
  const GuardedOf<Out> residual_;
};

template <typename Value, typename Out, typename Convolution>
void CheckRuns(const Problem& problem, const Convolution& conv,
               const Guarded& packed, bool all_epilogues,
               const std::string& reproduce) {
  Runs<Value, Out, Convolution>(problem, conv, packed, reproduce)
      .Check(all_epilogues);
}

// The results of a problem with fractions, to the bit the same whatever the
// number of threads.
template <typename Value, typename Out, typename Convolution>
std::vector<float> RunOnThreads(const Problem& problem, const Convolution& conv,
                                const Guarded& weights,
                                const std::string& where) {
  const GuardedOf<Value> x = As<Value>(problem.x);
  Guarded packed(conv.packed_size()), workspace(conv.workspace_size());
  conv.Pack(weights.get(), packed.get());
  std::vector<float> first;
  for (int threads : {1, 2, 3, 7}) {
    GuardedOf<Out> y(OutCount(problem.shape));
    p3d::SetNumThreads(threads);
    conv.Run(x.get(), packed.get(), p3d::Epilogue<Out>(), y.get(),
             workspace.get());
    if (first.empty()) first.assign(y.get(), y.get() + y.count());
    Expect(std::equal(first.begin(), first.end(), y.get()),
           where + ": other bits with " + std::to_string(threads) +
               " threads than with 1");
  }
  return first;
}

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_CONV_PROBLEM_HPP_
