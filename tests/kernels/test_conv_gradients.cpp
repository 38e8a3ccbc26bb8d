// ConvGradients against the plain loops in double.
//
//   test_conv_gradients [--quick] [--isa NAME] ["case"]
//
// Cases are written as in conv_cases.hpp. All values are small integers, so
// that every order of summation gives the same sum and results are compared
// without a tolerance. bfloat16 holds them too.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "conv_cases.hpp"
#include "conv_problem.hpp"
#include "kernels/conv_gradients.hpp"
#include "kernels/conv_reference.hpp"
#include "kernels/error.hpp"
#include "kernels/thread_pool.hpp"
#include "testing.hpp"

namespace {

using p3d::Bf16;
using p3d::BlobStrides;
using p3d::ConvGradients;
using p3d::ConvShape;
using p3d::Isa;
using testing::Expect;
using testing::ExpectError;
using testing::Guarded;
using testing::Parse;

// Strides and padding that leave pixels without taps and taps without pixels.
const char* const kPhases[] = {
    "2 3 5 1 zero 9,1,1,1,2,3 7,1,3,1,4,0",
    "1 5 3 1 zero 8,3,2,1,5,6 7,2,3,1,0,4",
    "2 4 6 2 zero 11,4,6,4,3,5 6,3,4,2,2,0",
    "1 2 2 1 zero 5,2,7,1,0,3 3,1,5,1,0,0 4,3,3,3,6,6",
    "1 20 40 1 zero 10,3,2,2,2,2 13,5,3,1,2,2",
    "1 1 1 1 zero 30,16,16,1,0,2",
};

// Many pixels: blocks and slices of them, some of which see padding alone; many
// inputs, that are cut into parts.
const char* const kBlocks[] = {
    "1 5 7 1 zero 45,1,1,1,0,0 50,3,1,1,1,1",
    "1 37 45 1 zero 30,3,1,1,1,1 80,1,1,1,0,0",
    "1 18 33 1 zero 2100,1,1,1,0,0",
    "1 7 20 1 zero 2,3,1,1,1,1 256,1,1,1,0,0",
    "1 150 33 1 zero 5,3,1,1,1,1 4,3,1,1,1,1",
};

std::vector<double> Wide(const Guarded& values) {
  return {values.get(), values.get() + values.count()};
}

std::vector<double> Sum(std::vector<double> values, const Guarded& others) {
  for (size_t i = 0; i < values.size(); ++i) values[i] += others.get()[i];
  return values;
}

// A case's data and its results in double. Gradients that are added to start at
// `start` and `start_x`.
struct Problem {
  explicit Problem(const std::string& text)
      : shape(Parse(text)),
        x(shape.num * shape.channels * shape.in_pixels()),
        dy(shape.num * shape.num_output * shape.out_pixels()),
        weights(shape.weight_count()),
        start(shape.weight_count()),
        start_x(x.count()),
        in(BlobStrides::ChannelsLast(shape.channels, shape.in_sizes())),
        out(BlobStrides::ChannelsLast(shape.num_output, shape.out_sizes())) {
    testing::Fill(x.get(), x.count(), 4, 1, 1);
    testing::Fill(dy.get(), dy.count(), 5, 1, 2);
    testing::Fill(weights.get(), weights.count(), 3, 1, 3);
    testing::Fill(start.get(), start.count(), 9, 1, 4);
    testing::Fill(start_x.get(), start_x.count(), 9, 1, 5);
    Solve();
  }

  void Solve() {
    dx_expected.assign(x.count(), 0);
    written_expected.assign(start.count(), 0);
    p3d::ConvDataGradientReference(shape, out, Wide(dy).data(),
                                   Wide(weights).data(), in,
                                   dx_expected.data());
    p3d::ConvWeightGradientReference(shape, out, Wide(dy).data(), in,
                                     Wide(x).data(), written_expected.data());
    added_expected = Sum(dx_expected, start_x);
    dw_expected = Sum(written_expected, start);
  }

  const ConvShape shape;
  Guarded x, dy, weights, start, start_x;
  const BlobStrides in, out;
  std::vector<double> dx_expected, added_expected, dw_expected;
  std::vector<double> written_expected;
};

void Compare(const Guarded& got, const std::vector<double>& expected,
             double tolerance, const std::string& where) {
  double largest = 0;
  for (double value : expected) largest = std::max(largest, std::fabs(value));
  for (int64_t i = 0; i < got.count(); ++i) {
    const double error = std::fabs(got.get()[i] - expected[i]);
    if (error <= tolerance * largest) continue;  // false for NaN
    std::ostringstream text;
    text << where << "[" << i << "] is " << got.get()[i] << " instead of "
         << expected[i];
    Expect(false, text.str());
    return;
  }
  Expect(got.intact(), where + " is overrun");
}

// All gradients with some number of threads, which may not change a bit.
template <typename Value>
struct Result {
  Result(const Problem& problem, const ConvGradients<Value>& gradients,
         int threads)
      : dx(problem.x.count()),
        added(problem.x.count()),
        dw(problem.weights.count()),
        written(problem.weights.count()) {
    const auto dy = testing::As<Value>(problem.dy);
    const auto x = testing::As<Value>(problem.x);
    p3d::SetNumThreads(threads);
    gradients.Data(dy.get(), problem.weights.get(), dx.get());
    std::copy_n(problem.start_x.get(), added.count(), added.get());
    gradients.Data(dy.get(), problem.weights.get(), added.get(), true);
    std::copy_n(problem.start.get(), dw.count(), dw.get());
    gradients.Weights(dy.get(), x.get(), dw.get());
    gradients.Weights(dy.get(), x.get(), written.get(), false);
  }
  std::vector<float> all() const {
    std::vector<float> values(dx.get(), dx.get() + dx.count());
    values.insert(values.end(), added.get(), added.get() + added.count());
    values.insert(values.end(), dw.get(), dw.get() + dw.count());
    values.insert(values.end(), written.get(), written.get() + written.count());
    return values;
  }
  Guarded dx, added, dw, written;
};

// What serves a shape, null where nothing has to.
std::string ServedBy(const ConvShape& shape, Isa isa, float) {
  const bool zero = shape.pad_mode == p3d::PadMode::kZero;
  return zero ? std::string("conv_gradients_f32_") + p3d::IsaName(isa)
              : "conv_gradients_reference";
}
std::string ServedBy(const ConvShape& shape, Isa isa, Bf16) {
  const bool pairs =
      shape.group == 1 || shape.num_output / shape.group % 2 == 0;
  return pairs && shape.pad_mode == p3d::PadMode::kZero
             ? std::string("conv_gradients_bf16_") + p3d::IsaName(isa)
             : "";
}

template <typename Value>
void CheckValues(const Problem& problem, Isa isa, double tolerance,
                 const std::string& where) {
  const auto gradients = ConvGradients<Value>::Create(problem.shape, isa);
  const std::string name = gradients ? gradients->name() : "";
  Expect(name == ServedBy(problem.shape, isa, Value()),
         where + ": served by '" + name + "'");
  if (!gradients) return;
  std::vector<float> first;
  for (int threads : {1, 2, 5}) {
    const Result<Value> result(problem, *gradients, threads);
    const std::string by =
        where + " by " + name + " (" + std::to_string(threads) + " threads)";
    Compare(result.dx, problem.dx_expected, tolerance, by + ": dx");
    Compare(result.added, problem.added_expected, tolerance, by + ": dx added");
    Compare(result.dw, problem.dw_expected, tolerance, by + ": dw");
    Compare(result.written, problem.written_expected, tolerance,
            by + ": dw written");
    if (first.empty()) first = result.all();
    Expect(first == result.all(), by + ": other bits than with one");
  }
}

void CheckProblem(const Problem& problem, Isa isa, double tolerance,
                  const std::string& where) {
  p3d::SetActiveIsa(isa);
  CheckValues<float>(problem, isa, tolerance, where);
  CheckValues<Bf16>(problem, isa, tolerance, where);
}

void CheckCase(const std::string& text, const std::vector<Isa>& isas) {
  const Problem problem(text);
  for (Isa isa : isas) {
    CheckProblem(problem, isa, 0,
                 std::string("test_conv_gradients --isa ") + p3d::IsaName(isa) +
                     " \"" + text + "\"");
  }
}

// Values that are not integers but such of bfloat16, also where all pixels are
// far from 0.
void CheckRounding(const std::vector<Isa>& isas, float offset) {
  Problem problem("3 67 83 1 zero 3,3,1,1,1,1 9,3,2,1,1,1 41,3,1,1,1,1");
  std::minstd_rand random(1701);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (Guarded* values : {&problem.x, &problem.dy, &problem.weights}) {
    for (int64_t i = 0; i < values->count(); ++i) {
      const float value = uniform(random);
      values->get()[i] = Bf16(value + (values == &problem.x ? offset : 0));
    }
  }
  std::fill_n(problem.start.get(), problem.start.count(), 0.f);
  std::fill_n(problem.start_x.get(), problem.start_x.count(), 0.f);
  problem.Solve();
  for (Isa isa : isas) {
    CheckProblem(problem, isa, 3e-6,
                 "rounding, offset " + std::to_string(offset) + ", " +
                     p3d::IsaName(isa));
  }
}

void CheckErrors() {
  ExpectError(
      [] { ConvGradients<double>::Create(Parse("1 4 6 4 zero 1,1,1,1,0,0")); },
      "group 4 must divide", "a group that does not divide");
  // Tables larger than anything they are for: the plain loops serve.
  for (const char* text :
       {"1 1 1 1 zero 40000,20000,1,2,0,0 40000,20000,1,2,0,0",
        "1 1 1 1 zero 9000,1,9000,1,0,0 9000,9000,1,1,0,0"}) {
    const auto gradients = ConvGradients<float>::Create(Parse(text));
    Expect(gradients->name() == std::string("conv_gradients_reference"),
           std::string("absurd sizes are served by ") + gradients->name());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const bool quick = testing::HasFlag(argc, argv, "--quick");
  std::vector<Isa> isas = p3d::SupportedIsas();
  std::vector<std::string> cases;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--isa" && i + 1 < argc) {
      isas = {p3d::ParseIsa(argv[++i])};
    } else if (word != "--quick") {
      cases.push_back(word);
    }
  }
  if (!cases.empty()) {
    for (const std::string& text : cases) CheckCase(text, isas);
    return testing::Finish();
  }
  CheckErrors();
  CheckRounding(isas, 0);
  CheckRounding(isas, 100);
  for (const char* text : kPhases) CheckCase(text, isas);
  for (const char* text : kBlocks) CheckCase(text, isas);
  for (const char* text : testing::kOdd) CheckCase(text, isas);
  for (const std::string& text : testing::PixelCounts()) CheckCase(text, isas);
  if (!quick) {
    for (const char* text : testing::kP3d) CheckCase(text, isas);
  }
  return testing::Finish();
} catch (const std::exception& error) {
  std::printf("FAILED %s\n", error.what());
  return 1;
}
