// ConvGradients, and each way to the weights' alone, against the plain loops in
// double.
//
//   test_conv_gradients [--quick] [--isa NAME] ["case"]
//
// Cases are written as in conv_cases.hpp. All values are small integers, so
// that every order of summation gives the same sum and results are compared
// without a tolerance. bfloat16 holds them too, also when Winograd's transforms
// have added four of them up.

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
#include "kernels/conv/conv_bf16_amx.hpp"
#include "kernels/conv/conv_gradients.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/conv_weight_gradient.hpp"
#include "kernels/conv/conv_winograd_grid.hpp"
#include "kernels/conv/conv_winograd_weight_gradient.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/error.hpp"
#include "testing.hpp"

namespace {

using p3d::Bf16;
using p3d::BlobStrides;
using p3d::ConvGradients;
using p3d::ConvShape;
using p3d::ConvWinogradWeightGradient;
using p3d::Isa;
using p3d::WeightGradient;
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

// 3x3 kernels in tiles of 2x2 outputs: many tiles and few weights, which are
// summed in slices, also with channels that are cut into parts; few tiles and
// many outputs; an odd number of tiles.
const char* const kTiles[] = {
    "3 5 7 1 zero 2,1,1,1,0,0 37,3,1,1,2,2 41,3,1,1,0,1",
    "2 150 140 1 zero 3,1,1,1,0,0 12,3,1,1,1,1 13,3,1,1,1,1",
    "2 33 300 1 zero 4,3,1,1,1,1 5,3,1,1,1,1",
    "3 20 18 1 zero 5,3,1,1,0,0 3,1,1,1,0,0 6,3,1,1,1,2 2,1,1,1,0,0",
    "1 270 3 1 zero 9,3,1,1,0,2 3,3,1,1,1,0",
};

std::vector<int> thread_counts = {1, 2, 5};

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

template <typename Value>
using WayOf = std::unique_ptr<const WeightGradient<Value>>;

// A way to the weights' gradient with some numbers of threads, of which no bit
// depends.
template <typename Value>
void CheckWay(const Problem& problem, const WeightGradient<Value>& way,
              double tolerance, const std::string& where) {
  const auto dy = testing::As<Value>(problem.dy);
  const auto x = testing::As<Value>(problem.x);
  std::vector<float> first;
  for (int threads : thread_counts) {
    Guarded dw(problem.start.count()), written(problem.start.count());
    std::copy_n(problem.start.get(), dw.count(), dw.get());
    p3d::SetNumThreads(threads);
    way.Run(dy.get(), x.get(), dw.get(), true);
    way.Run(dy.get(), x.get(), written.get(), false);
    const std::string by = where + " (" + std::to_string(threads) + " threads)";
    Compare(dw, problem.dw_expected, tolerance, by + ": dw");
    Compare(written, problem.written_expected, tolerance, by + ": dw written");
    if (first.empty()) first.assign(dw.get(), dw.get() + dw.count());
    Expect(std::equal(first.begin(), first.end(), dw.get()),
           by + ": other bits than with one");
  }
}

// Where Winograd's can do a shape, it and what it is preferred to or not.
template <typename Value>
void CheckWays(const Problem& problem, Isa isa, double tolerance,
               const std::string& where) {
  const WayOf<Value> winograd =
      ConvWinogradWeightGradient<Value>::CreateAnyway(problem.shape, isa);
  Expect(!!winograd == p3d::WinogradGrid::CanDo(problem.shape),
         where + ": whether Winograd's can do it");
  if (!winograd) return;
  const std::string kind =
      where + ", " + p3d::Name(p3d::KindOf<Value>()) + " weights ";
  CheckWay(problem, *winograd, tolerance, kind + "by Winograd's");
  const WayOf<Value> direct =
      p3d::ConvWeightGradient<Value>::Create(problem.shape, isa);
  CheckWay(problem, *direct, std::min(tolerance, 3e-6), kind + "directly");
}

// What serves a shape, null where nothing has to. `trick` is of its weights.
std::string ServedBy(const ConvShape& shape, Isa isa, const std::string& trick,
                     float) {
  const bool zero = shape.pad_mode == p3d::PadMode::kZero;
  const Isa floats = std::min(isa, Isa::kAvx512);
  return zero ? "conv_gradients_f32_" + trick + p3d::IsaName(floats)
              : "conv_gradients_reference";
}
std::string ServedBy(const ConvShape& shape, Isa isa, const std::string& trick,
                     Bf16) {
  const bool pairs =
      shape.group == 1 || shape.num_output / shape.group % 2 == 0;
  return pairs && shape.pad_mode == p3d::PadMode::kZero
             ? "conv_gradients_bf16_" +
                   (p3d::ConvWeightGradient<Bf16>::TakesAmx(shape, isa)
                        ? ""
                        : trick) +
                   p3d::IsaName(isa)
             : "";
}

template <typename Value>
void CheckValues(const Problem& problem, Isa isa, double tolerance,
                 const std::string& where) {
  const auto gradients = ConvGradients<Value>::Create(problem.shape, isa);
  const std::string name = gradients ? gradients->name() : "";
  const WayOf<Value> winograd =
      ConvWinogradWeightGradient<Value>::Create(problem.shape, isa);
  const std::string trick = winograd ? "winograd_2x2_" : "";
  Expect(name == ServedBy(problem.shape, isa, trick, Value()),
         where + ": served by '" + name + "'");
  if (!gradients) return;
  std::vector<float> first;
  for (int threads : thread_counts) {
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
    const std::string where = std::string("test_conv_gradients --isa ") +
                              p3d::IsaName(isa) + " \"" + text + "\"";
    CheckProblem(problem, isa, 0, where);
    CheckWays<float>(problem, isa, 0, where);
    CheckWays<Bf16>(problem, isa, 0, where);
  }
}

// Values that are not integers but such of bfloat16; those of x around
// `offset`.
void Randomize(Problem* problem, float offset) {
  std::minstd_rand random(1701);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (Guarded* values : {&problem->x, &problem->dy, &problem->weights}) {
    for (int64_t i = 0; i < values->count(); ++i) {
      const float value = uniform(random);
      values->get()[i] = Bf16(value + (values == &problem->x ? offset : 0));
    }
  }
  std::fill_n(problem->start.get(), problem->start.count(), 0.f);
  std::fill_n(problem->start_x.get(), problem->start_x.count(), 0.f);
  problem->Solve();
}

// Also where all pixels are far from 0.
void CheckRounding(const std::vector<Isa>& isas, float offset) {
  const std::string where = "rounding, offset " + std::to_string(offset) + ", ";
  Problem problem("3 67 83 1 zero 3,3,1,1,1,1 9,3,2,1,1,1 41,3,1,1,1,1");
  Randomize(&problem, offset);
  for (Isa isa : isas) {
    CheckProblem(problem, isa, 3e-6, where + p3d::IsaName(isa));
  }
}

// Transformed values have to be rounded to bfloat16.
void CheckWinogradRounding(const std::vector<Isa>& isas, float offset) {
  const std::string where = "rounding, offset " + std::to_string(offset) + ", ";
  Problem problem("3 67 83 1 zero 5,1,1,1,0,0 19,3,1,1,1,1 22,3,1,1,1,1");
  Randomize(&problem, offset);
  for (Isa isa : isas) {
    CheckWays<float>(problem, isa, 1e-6, where + p3d::IsaName(isa));
    CheckWays<Bf16>(problem, isa, 1e-2, where + p3d::IsaName(isa));
  }
}

// What Winograd's takes, and what is left because it cannot or would not gain.
void CheckWinogradChoice(const std::vector<Isa>& isas) {
  const struct {
    const char* text;
    bool chosen;
  } kCases[] = {
      {"1 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", true},
      {"4 128 128 1 zero 4,1,1,1,0,0 20,3,1,1,1,1 20,3,1,1,1,1", true},
      {"1 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1", true},
      {"1 64 64 1 zero 28,3,1,1,1,1 5,1,1,1,0,0 28,3,1,1,1,1", true},
      {"1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1", false},
      {"1 256 256 1 zero 1,3,1,1,1,1 1,3,1,1,1,1", false},
      {"4 2 64 1 zero 16,1,1,1,0,0 80,3,1,1,1,1 80,3,1,1,1,1", false},
      {"1 64 64 2 zero 40,3,1,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 zero 40,3,2,1,1,1 40,3,2,1,1,1", false},
      {"1 64 64 1 zero 40,3,1,2,2,2 40,3,1,2,2,2", false},
      {"1 64 64 1 zero 8,3,1,1,1,1 40,1,1,1,0,0 40,1,1,1,0,0", false},
      {"1 64 64 1 replicate 40,3,1,1,1,1 40,3,1,1,1,1", false},
  };
  for (const auto& c : kCases) {
    for (Isa isa : isas) {
      const ConvShape shape = Parse(c.text);
      const bool f32 = !!ConvWinogradWeightGradient<float>::Create(shape, isa);
      const bool bf16 = !!ConvWinogradWeightGradient<Bf16>::Create(shape, isa);
      Expect(f32 == c.chosen && bf16 == c.chosen,
             std::string("Winograd's weight gradient, ") + p3d::IsaName(isa) +
                 " \"" + c.text + "\": float " + (f32 ? "yes" : "no") +
                 ", bfloat16 " + (bf16 ? "yes" : "no"));
    }
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
  if (quick) thread_counts = {1, 5};
  CheckErrors();
  CheckRounding(isas, 0);
  CheckRounding(isas, 100);
  CheckWinogradRounding(isas, 0);
  CheckWinogradRounding(isas, 100);
  CheckWinogradChoice(isas);
  for (const char* text : kPhases) CheckCase(text, isas);
  for (const char* text : kBlocks) CheckCase(text, isas);
  for (const char* text : kTiles) CheckCase(text, isas);
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
