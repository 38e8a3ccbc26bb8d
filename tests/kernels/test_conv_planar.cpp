// PlanarConv against the plain loops in double; those against each other.
//
//   test_conv_planar [--quick] [--isa NAME] ["case"]
//
// Cases are written as in conv_cases.hpp. All values are small integers, so
// that every order of summation gives the same sum and results are compared
// without a tolerance.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "conv_cases.hpp"
#include "kernels/conv/conv_planar.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/error.hpp"
#include "testing.hpp"

namespace {

using p3d::BlobStrides;
using p3d::ConvShape;
using p3d::Isa;
using p3d::PlanarConv;
using testing::Expect;
using testing::ExpectError;
using testing::Guarded;
using testing::Parse;

std::vector<double> Wide(const Guarded& values) {
  return {values.get(), values.get() + values.count()};
}

// A case's data and its results in double. Weights' gradients start at `start`.
struct Problem {
  explicit Problem(const std::string& text)
      : shape(Parse(text)),
        x(shape.num * shape.channels * shape.in_pixels()),
        dy(shape.num * shape.num_output * shape.out_pixels()),
        weights(shape.weight_count()),
        start(shape.weight_count()),
        bias(shape.num_output),
        in(BlobStrides::CaffeOrder(shape.channels, shape.in_sizes())),
        out(BlobStrides::CaffeOrder(shape.num_output, shape.out_sizes())) {
    testing::Fill(x.get(), x.count(), 4, 1, 1);
    testing::Fill(dy.get(), dy.count(), 5, 1, 2);
    testing::Fill(weights.get(), weights.count(), 3, 1, 3);
    testing::Fill(start.get(), start.count(), 9, 1, 4);
    testing::Fill(bias.get(), bias.count(), 9, 1, 5);
    Solve();
  }

  void Solve() {
    const std::vector<double> w = Wide(weights);
    y_expected.assign(dy.count(), 0);
    dx_expected.assign(x.count(), 0);
    dw_expected = Wide(start);
    p3d::ConvReference(shape, in, Wide(x).data(), w.data(), out,
                       y_expected.data());
    p3d::ConvDataGradientReference(shape, out, Wide(dy).data(), w.data(), in,
                                   dx_expected.data());
    p3d::ConvWeightGradientReference(shape, out, Wide(dy).data(), in,
                                     Wide(x).data(), dw_expected.data());
  }

  const ConvShape shape;
  Guarded x, dy, weights, start, bias;
  const BlobStrides in, out;
  std::vector<double> y_expected, dx_expected, dw_expected;
};

void Compare(const Guarded& got, const std::vector<double>& expected,
             const std::string& where) {
  for (int64_t i = 0; i < got.count(); ++i) {
    if (got.get()[i] == expected[i]) continue;
    std::ostringstream text;
    text << where << "[" << i << "] is " << got.get()[i] << " instead of "
         << expected[i];
    Expect(false, text.str());
    return;
  }
  Expect(got.intact(), where + " is overrun");
}

void CheckRun(const Problem& problem, const PlanarConv<float>& conv,
              int threads, const std::string& where) {
  p3d::SetNumThreads(threads);
  const ConvShape& shape = problem.shape;
  Guarded y(problem.dy.count()), dx(problem.x.count()),
      dw(problem.weights.count());
  conv.Forward(problem.x.get(), problem.weights.get(), nullptr, y.get());
  Compare(y, problem.y_expected, where + ": y");
  conv.Forward(problem.x.get(), problem.weights.get(), problem.bias.get(),
               y.get());
  std::vector<double> shifted = problem.y_expected;
  for (int64_t i = 0; i < y.count(); ++i) {
    const int64_t o = i / shape.out_pixels() % shape.num_output;
    shifted[i] += problem.bias.get()[o];
  }
  Compare(y, shifted, where + ": y with a bias");
  conv.BackwardData(problem.dy.get(), problem.weights.get(), dx.get());
  Compare(dx, problem.dx_expected, where + ": dx");
  std::copy_n(problem.start.get(), dw.count(), dw.get());
  conv.BackwardWeights(problem.dy.get(), problem.x.get(), dw.get());
  Compare(dw, problem.dw_expected, where + ": dw");
}

void CheckBias(const Problem& problem, const std::string& where) {
  const ConvShape& shape = problem.shape;
  Guarded dbias(shape.num_output);
  std::copy_n(problem.bias.get(), dbias.count(), dbias.get());
  p3d::PlanarBiasGradient(shape.num, shape.num_output, shape.out_pixels(),
                          problem.dy.get(), dbias.get());
  std::vector<double> expected = Wide(problem.bias);
  for (int64_t i = 0; i < problem.dy.count(); ++i) {
    expected[i / shape.out_pixels() % shape.num_output] += problem.dy.get()[i];
  }
  Compare(dbias, expected, where + ": dbias");
}

void CheckCase(const std::string& text, const std::vector<Isa>& isas) {
  if (Parse(text).pad_mode != p3d::PadMode::kZero) return;
  const Problem problem(text);
  for (Isa isa : isas) {
    const std::string reproduce = std::string("test_conv_planar --isa ") +
                                  p3d::IsaName(isa) + " \"" + text + "\"";
    const auto conv = PlanarConv<float>::Create(problem.shape, isa);
    const std::string name = conv->name();
    Expect(name.find("planar_f32_") == 0 &&
               name.find(p3d::IsaName(std::min(isa, Isa::kAvx512))) !=
                   std::string::npos,
           reproduce + ": served by " + name);
    for (int threads : {1, 2, 5}) {
      CheckRun(problem, *conv, threads,
               reproduce + " (" + std::to_string(threads) + " threads)");
    }
    CheckBias(problem, reproduce);
  }
}

// The gradients are those of the forward: <dy, A x> = <A' dy, x> = <dw, w> for
// the bilinear y = A(w) x, exactly, as the values are integers.
void CheckAdjoint(const std::string& text) {
  const Problem p(text);
  if (p.shape.pad_mode != p3d::PadMode::kZero) return;
  double by_y = 0, by_x = 0, by_w = 0;
  for (int64_t i = 0; i < p.dy.count(); ++i) {
    by_y += p.dy.get()[i] * p.y_expected[i];
  }
  for (int64_t i = 0; i < p.x.count(); ++i) {
    by_x += p.x.get()[i] * p.dx_expected[i];
  }
  for (int64_t i = 0; i < p.weights.count(); ++i) {
    by_w += p.weights.get()[i] * (p.dw_expected[i] - p.start.get()[i]);
  }
  Expect(by_y == by_x && by_y == by_w,
         "gradients of the plain loops, \"" + text + "\"");
}

// Values that are not integers: each set against double, within rounding, also
// where all pixels are far from 0; and to the bit the same whatever the number
// of threads.
void CheckRounding(const std::vector<Isa>& isas, float offset) {
  const std::string text =
      "3 67 83 1 zero 3,3,1,1,1,1 9,3,2,1,1,1 41,3,1,1,1,1";
  Problem problem(text);
  std::minstd_rand random(1701);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (Guarded* values : {&problem.x, &problem.dy, &problem.weights}) {
    for (int64_t i = 0; i < values->count(); ++i) {
      values->get()[i] = uniform(random) + (values == &problem.x ? offset : 0);
    }
  }
  std::fill_n(problem.start.get(), problem.start.count(), 0.f);
  problem.Solve();
  for (Isa isa : isas) {
    const auto conv = PlanarConv<float>::Create(problem.shape, isa);
    std::vector<float> first;
    for (int threads : {1, 2, 3, 7}) {
      p3d::SetNumThreads(threads);
      Guarded y(problem.dy.count()), dx(problem.x.count()),
          dw(problem.weights.count());
      std::fill_n(dw.get(), dw.count(), 0.f);
      conv->Forward(problem.x.get(), problem.weights.get(), nullptr, y.get());
      conv->BackwardData(problem.dy.get(), problem.weights.get(), dx.get());
      conv->BackwardWeights(problem.dy.get(), problem.x.get(), dw.get());
      std::vector<float> all;
      const std::pair<const Guarded*, const std::vector<double>*> results[] = {
          {&y, &problem.y_expected},
          {&dx, &problem.dx_expected},
          {&dw, &problem.dw_expected}};
      for (const auto& result : results) {
        double worst = 0, largest = 0;
        for (int64_t i = 0; i < result.first->count(); ++i) {
          const double expected = (*result.second)[i];
          largest = std::max(largest, std::fabs(expected));
          worst = std::max(worst, std::fabs(result.first->get()[i] - expected));
        }
        std::ostringstream where;
        where << conv->name() << ", offset " << offset << ", " << threads
              << " threads, result " << (&result - results)
              << ": rounding errors of " << worst / largest;
        Expect(worst < 3e-6 * largest, where.str());
        all.insert(all.end(), result.first->get(),
                   result.first->get() + result.first->count());
      }
      if (first.empty()) first = all;
      Expect(first == all, std::string(conv->name()) + ": other bits with " +
                               std::to_string(threads) + " threads");
    }
  }
}

void CheckErrors() {
  const char* const replicate = "1 1 1 1 replicate 5,3,1,1,1,1";
  ExpectError([&] { PlanarConv<float>::Create(Parse(replicate)); },
              "pads with zeros only", "replicated padding");
  ExpectError(
      [] { PlanarConv<double>::Create(Parse("1 4 6 4 zero 1,1,1,1,0,0")); },
      "group 4 must divide", "a group that does not divide");
  // Tables larger than anything they are for: the plain loops serve.
  const auto conv = PlanarConv<float>::Create(
      Parse("1 1 1 1 zero 40000,20000,1,2,0,0 40000,20000,1,2,0,0"));
  Expect(conv->name() == std::string("planar_reference"),
         std::string("an absurd kernel is served by ") + conv->name());
}

}  // namespace

int main(int argc, char** argv) try {
  const testing::Selection chosen(argc, argv);
  const std::vector<Isa>& isas = chosen.isas;
  if (!chosen.cases.empty()) {
    for (const std::string& text : chosen.cases) CheckCase(text, isas);
    return testing::Finish();
  }
  CheckErrors();
  CheckRounding(isas, 0);
  CheckRounding(isas, 100);
  for (const char* text : testing::kOdd) {
    CheckAdjoint(text);
    CheckCase(text, isas);
  }
  for (const std::string& text : testing::PixelCounts()) CheckCase(text, isas);
  if (!chosen.quick) {
    for (const char* text : testing::kP3d) CheckCase(text, isas);
  }
  return testing::Finish();
} catch (const std::exception& error) {
  std::printf("FAILED %s\n", error.what());
  return 1;
}
