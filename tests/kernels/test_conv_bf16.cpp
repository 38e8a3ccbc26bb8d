// Bf16Conv against the plain loops in double.
//
//   test_conv_bf16 [--quick] [--isa NAME] ["case"]
//
// As test_conv: all values are small integers, which bfloat16 holds exactly, so
// results are compared without a tolerance, rounded once where they are
// bfloat16 too.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "conv_problem.hpp"
#include "kernels/conv/conv_bf16.hpp"
#include "kernels/conv/conv_bf16_amx.hpp"
#include "kernels/conv/conv_bf16_igemm.hpp"
#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/conv/conv_bf16_rows.hpp"
#include "kernels/conv/conv_bf16_winograd.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "testing.hpp"

namespace {

// Odd numbers of channels and even strides: pairs that begin in the padding,
// that end in the last pixel's middle, rows that are not read to their end.
const char* const kRows[] = {
    "1 1 5 1 zero 9,3,2,1,1,1",
    "2 3 17 1 zero 4,3,1,1,1,1 13,4,2,1,1,0",
    "1 5 33 1 zero 3,1,1,1,0,0 6,2,1,2,1,1 11,5,4,1,2,3",
    "2 7 8 1 zero 10,1,6,1,0,0",
    "1 3 70 1 zero 5,5,2,1,2,2 8,1,4,1,3,2",
    "3 3 16 1 zero 1,7,2,1,6,0",
};

using p3d::Bf16;
using p3d::Bf16Conv;
using p3d::Bf16ConvTo;
using p3d::Conv;
using p3d::ConvAxis;
using p3d::ConvShape;
using p3d::Isa;
using testing::Expect;
using testing::ExpectError;
using testing::Guarded;
using testing::Parse;
using testing::Problem;
using Bf16s = testing::GuardedOf<Bf16>;

// By matrix registers or multiplied as such where the machine can, else
// computed of floats.
template <typename Out>
void CheckName(const Bf16ConvTo<Out>& conv, Isa isa,
               const std::string& reproduce) {
  const std::string name = conv.name();
  const bool matrices =
      p3d::AmxKernelsFor(isa) && name.find("_32x32_amx") != std::string::npos;
  const Isa vectors = std::min(isa, Isa::kAvx512);
  std::string end = std::string("_") + p3d::IsaName(matrices ? isa : vectors);
  if (!p3d::MultipliesBf16()) {
    end = (vectors == Isa::kAvx512 ? "_avx2" : end) + "_emulated";
  }
  const bool ends =
      name.size() > end.size() &&
      name.compare(name.size() - end.size(), end.size(), end) == 0;
  Expect(ends && name.compare(0, 10, "conv_bf16_") == 0,
         reproduce + ": not the name of this machine's kernel");
}

// The layout knows nothing of the input's size, and is no other convolution's.
template <typename Out>
void CheckPacking(const std::string& text, Isa isa) {
  const ConvShape shape = Parse(text);
  const auto conv = Bf16ConvTo<Out>::Create(shape, isa);
  ConvShape larger = shape;
  larger.num += 2;
  for (ConvAxis& axis : larger.axes) axis.in += 3;
  const auto other = Bf16ConvTo<Out>::Create(larger, isa);
  Expect(other->pack_key() == conv->pack_key() &&
             other->packed_size() == conv->packed_size(),
         text + ": another input size has another pack_key");
  const auto floats = Conv::Create(shape, isa);
  Expect(floats->pack_key() != conv->pack_key(),
         text + ": has the pack_key of " + floats->name());
}

// All that can serve `shape`, whether it pays or not.
template <typename Out>
using Convs = std::vector<std::unique_ptr<const Bf16ConvTo<Out>>>;

template <typename Out>
Convs<Out> CreateDirect(const ConvShape& shape, Isa isa) {
  Convs<Out> convs;
  for (const auto create :
       {p3d::CreateBf16Igemm<Out>, p3d::CreateBf16Rows<Out>}) {
    auto conv = create(shape, isa);
    if (conv) convs.push_back(std::move(conv));
  }
  return convs;
}
Convs<float> CreateAll(const ConvShape& shape, Isa isa, float) {
  return CreateDirect<float>(shape, isa);
}
Convs<Bf16> CreateAll(const ConvShape& shape, Isa isa, Bf16) {
  Convs<Bf16> convs = CreateDirect<Bf16>(shape, isa);
  auto winograd = p3d::CreateBf16WinogradAnyway(shape, isa);
  if (winograd) convs.push_back(std::move(winograd));
  return convs;
}

template <typename Out>
void CheckConv(const Problem& problem, const Bf16ConvTo<Out>& conv, Isa isa,
               bool all_epilogues) {
  const std::string reproduce = std::string("test_conv_bf16 --isa ") +
                                p3d::IsaName(isa) + " \"" + problem.text +
                                "\" by " + conv.name();
  CheckName(conv, isa, reproduce);
  Guarded packed(conv.packed_size());
  conv.Pack(problem.weights.get(), packed.get());
  Expect(packed.intact(), reproduce + ": packing overruns a buffer");
  testing::CheckRuns<Bf16, Out>(problem, conv, packed, all_epilogues,
                                reproduce);
}

template <typename Out>
void CheckResults(const Problem& problem, Isa isa, bool all_epilogues) {
  const int64_t inputs = problem.shape.channels / problem.shape.group;
  const bool can = problem.shape.group == 1 || inputs % 2 == 0;
  Expect((Bf16ConvTo<Out>::Create(problem.shape, isa) != nullptr) == can,
         problem.text + (can ? ": is not done" : ": cannot be done"));
  if (!can) return;
  CheckPacking<Out>(problem.text, isa);
  for (const auto& conv : CreateAll(problem.shape, isa, Out())) {
    CheckConv(problem, *conv, isa, all_epilogues);
  }
}

void CheckCase(const std::string& text, const std::vector<Isa>& isas,
               bool all_epilogues) {
  const Problem problem(text);
  for (Isa isa : isas) {
    p3d::SetActiveIsa(isa);
    CheckResults<Bf16>(problem, isa, all_epilogues);
    CheckResults<float>(problem, isa, all_epilogues);
  }
}

// A direct convolution's are the sums of what x and weights are rounded to,
// rounded once more where they are bfloat16. Winograd's are off by some
// hundredths of the usual sum at most, by 0.4 % of it on average.
template <typename Out>
void CheckSums(const Problem& problem, const Guarded& weights, Isa isa) {
  double squares = 0;
  for (double sum : problem.sums) squares += sum * sum;
  const double usual = std::sqrt(squares / problem.sums.size());
  // Half of the last of 8 digits, and what floats lose.
  const double last = std::is_same<Out, Bf16>::value ? 1. / 256 : 0;
  for (const auto& conv : CreateAll(problem.shape, isa, Out())) {
    const std::string where =
        std::string(conv->name()) + ", \"" + problem.text + "\"";
    const bool direct = std::strstr(conv->name(), "_igemm_");
    const auto y =
        testing::RunOnThreads<Bf16, Out>(problem, *conv, weights, where);
    double errors = 0, worst = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      const double error = std::fabs(y[i] - problem.sums[i]);
      const double rounding = std::fabs(problem.sums[i]) * last + 1e-5 * usual;
      worst = std::max(worst, direct ? error / rounding : error / usual / .03);
      errors += error * error;
    }
    const double mean = std::sqrt(errors / y.size()) / usual;
    Expect(worst <= 1 && mean < .005,
           where + ": off by " + std::to_string(worst) +
               " of what it may, by " + std::to_string(mean) + " on average");
  }
}

void CheckRounding(const std::string& text, const std::vector<Isa>& isas) {
  Problem problem(text);
  std::minstd_rand random(1701);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Guarded weights(problem.weights.count());
  for (int64_t i = 0; i < problem.x.count(); ++i) {
    problem.x.get()[i] = Bf16(uniform(random));
  }
  for (int64_t i = 0; i < weights.count(); ++i) {
    weights.get()[i] = uniform(random);
    problem.weights.get()[i] = Bf16(weights.get()[i]);
  }
  problem.Sum();
  for (Isa isa : isas) {
    p3d::SetActiveIsa(isa);
    CheckSums<Bf16>(problem, weights, isa);
    CheckSums<float>(problem, weights, isa);
  }
}

// What is not a number, or infinite, comes out where it went in.
void CheckNotFinite(const std::vector<Isa>& isas) {
  for (Isa isa : isas) {
    for (float value : {std::numeric_limits<float>::quiet_NaN(),
                        std::numeric_limits<float>::infinity()}) {
      const ConvShape shape = Parse("1 2 21 1 zero 9,3,1,1,1,1");
      const auto conv = Bf16Conv::Create(shape, isa);
      std::vector<Bf16> x(18, 1.f);
      std::vector<float> weights(126, 1.f), scale(21, 1.f);
      x[9] = value;  // pixel 4
      Guarded packed(conv->packed_size()), workspace(conv->workspace_size());
      Bf16s y(9 * 21);
      conv->Pack(weights.data(), packed.get());
      p3d::Epilogue<Bf16> e;
      e.inner_relu = e.outer_relu = true;
      conv->Run(x.data(), packed.get(), e, y.get(), workspace.get());
      for (int i = 0; i < 9 * 21; ++i) {
        const bool sees = i / 21 >= 3 && i / 21 <= 5;
        const float at = y.get()[i];
        const bool same = std::isnan(value) ? std::isnan(at) : at == value;
        Expect(sees ? same : std::isfinite(at),
               std::string(conv->name()) + ": " + std::to_string(value) +
                   " at pixel 4, but pixel " + std::to_string(i / 21) + " is " +
                   std::to_string(at));
      }
    }
  }
}

// As one by one, whatever the count.
void CheckRound(const std::vector<Isa>& isas) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> values = {0.f,         -0.f,  1.00390625f, 1.01171875f,
                               -1.0117188f, nan,   HUGE_VALF,   -HUGE_VALF,
                               3.4e38f,     1e-37f};
  std::minstd_rand random(1703);
  std::uniform_real_distribution<float> uniform(-1, 1);
  while (values.size() < 100) values.push_back(uniform(random));
  for (Isa isa : isas) {
    for (size_t count = 0; count <= values.size(); ++count) {
      Bf16s rounded(count);
      p3d::Bf16KernelsFor(isa).round(values.data(), count, rounded.get());
      const std::string where = std::string("round, ") + p3d::IsaName(isa) +
                                ", " + std::to_string(count);
      for (size_t i = 0; i < count; ++i) {
        const float got = rounded.get()[i], wanted = Bf16(values[i]);
        Expect(std::isnan(wanted) ? std::isnan(got)
                                  : !std::memcmp(&got, &wanted, sizeof(got)),
               where + ": " + std::to_string(values[i]) + " becomes " +
                   std::to_string(got));
      }
      Expect(rounded.intact(), where + ": overruns a buffer");
    }
  }
}

// Matrix registers are for what lies side by side, whatever the input's size.
void CheckMatrices() {
  const struct {
    const char* text;
    bool matrices;
  } cases[] = {
      {"1 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", true},
      {"1 3 64 1 zero 16,1,1,1,0,0 160,7,2,1,3,3 160,7,2,1,3,3", true},
      {"1 256 256 32 zero 8,1,1,1,0,0 9,3,1,1,1,1 9,3,1,1,1,1", true},
      {"1 128 128 32 zero 8,1,1,1,0,0 9,3,1,1,1,1 9,3,1,1,1,1", false},
      {"1 6 6 1 zero 16,3,1,1,1,1 9,1,1,1,0,0", false},
      {"1 4 6 1 zero 16,3,1,1,1,1 9,3,1,1,0,0", true},
      {"1 4 6 1 zero 16,3,1,1,1,1 9,3,1,2,0,0", false},
  };
  if (!p3d::AmxKernelsFor(p3d::SupportedIsas().back())) return;
  for (const auto& c : cases) {
    const std::string name = Bf16Conv::Create(Parse(c.text), Isa::kAmx)->name();
    Expect((name.find("_amx") != std::string::npos) == c.matrices,
           std::string("\"") + c.text + "\" is served by " + name);
  }
}

// What would be too large for matrix registers takes the weights of what is
// not: here the number of different borders makes it so.
void CheckPackingOfLargest(Isa isa) {
  const auto key = [isa](const char* text) {
    return Bf16Conv::Create(Parse(text), isa)->pack_key();
  };
  Expect(key("1 34 64 1 zero 20,7,1,1,2,2 8,7,1,1,5,5 6,4,1,1,3,3") ==
             key("1 34 64 1 zero 22,7,1,1,2,2 38,7,1,1,5,5 16,4,1,1,3,3"),
         "other borders have another pack_key");
}

// Winograd's serves many channels, whatever the input's size, but for matrix
// registers.
void CheckChoice(const std::vector<Isa>& isas) {
  const struct {
    const char* text;
    bool winograd;
  } cases[] = {
      {"1 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", true},
      {"1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1", true},
      {"1 3 64 1 zero 80,3,1,1,1,1 80,3,1,1,1,1", false},
      {"1 64 64 1 zero 40,3,2,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 2 zero 40,3,1,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 zero 8,3,1,1,1,1 40,1,1,1,0,0 40,1,1,1,0,0", false},
  };
  for (const auto& c : cases) {
    for (Isa isa : isas) {
      const std::string name = Bf16Conv::Create(Parse(c.text), isa)->name();
      const bool winograd = c.winograd && !p3d::AmxKernelsFor(isa);
      Expect((name.find("_winograd_2x2_") != std::string::npos) == winograd,
             std::string("\"") + c.text + "\" is served by " + name);
    }
  }
}

// No large lists, no large workspace, no wait.
void CheckExtremes() {
  for (const char* text : testing::kExtreme) {
    const auto conv = Bf16Conv::Create(Parse(text));
    const int64_t workspace = conv ? conv->workspace_size() : 0;
    Expect(workspace <= int64_t{1} << 29,
           std::string(text) + ": workspace of " + std::to_string(workspace));
  }
  ExpectError([] { Bf16Conv::Create(Parse("1 1 0 1 zero 1,1,1,1,0,0")); },
              "num_output is 0", "test_conv_bf16");
}

}  // namespace

int main(int argc, char** argv) try {
  const testing::Selection chosen(argc, argv);
  const std::vector<Isa>& isas = chosen.isas;
  if (!chosen.cases.empty()) {
    for (const std::string& text : chosen.cases) CheckCase(text, isas, true);
    return testing::Finish();
  }
  CheckExtremes();
  CheckChoice(isas);
  CheckMatrices();
  for (Isa isa : isas) CheckPackingOfLargest(isa);
  CheckRound(isas);
  CheckNotFinite(isas);
  CheckRounding("2 67 83 1 zero 3,3,1,1,1,1 9,3,2,1,1,0 8,3,1,1,1,1", isas);
  CheckRounding("1 3 17 1 zero 9,3,1,1,1,1 11,3,1,1,1,1", isas);
  CheckRounding("1 600 40 2 zero 10,3,1,1,1,1 10,3,1,1,1,1", isas);
  CheckRounding("2 67 83 1 zero 2,1,1,1,0,0 9,3,1,1,0,2 8,3,1,1,1,1", isas);
  CheckRounding("1 256 64 1 zero 10,3,1,1,1,1 10,3,1,1,1,1", isas);
  for (const char* text : testing::kOdd) CheckCase(text, isas, !chosen.quick);
  for (const char* text : kRows) CheckCase(text, isas, !chosen.quick);
  for (const std::string& text : testing::PixelCounts())
    CheckCase(text, isas, false);
  if (!chosen.quick) {
    for (const char* text : testing::kP3d) CheckCase(text, isas, false);
  }
  return testing::Finish();
} catch (const std::exception& error) {
  std::printf("FAILED %s\n", error.what());
  return 1;
}
