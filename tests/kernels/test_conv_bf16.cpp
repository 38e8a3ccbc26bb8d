// Bf16Conv against the plain loops in double.
//
//   test_conv_bf16 [--quick] [--isa NAME] ["case"]
//
// As test_conv: all values are small integers, which bfloat16 holds exactly, so
// results are compared without a tolerance, rounded once.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "conv_problem.hpp"
#include "kernels/conv_bf16.hpp"
#include "kernels/thread_pool.hpp"
#include "testing.hpp"

namespace {

using p3d::Bf16;
using p3d::Bf16Conv;
using p3d::Conv;
using p3d::ConvAxis;
using p3d::ConvShape;
using p3d::Isa;
using testing::Expect;
using testing::ExpectError;
using testing::Guarded;
using testing::OutCount;
using testing::Parse;
using testing::Problem;
using Bf16s = testing::GuardedOf<Bf16>;

// Some values rounded.
Bf16s Rounded(const Guarded& values) {
  Bf16s rounded(values.count());
  std::copy_n(values.get(), values.count(), rounded.get());
  return rounded;
}

void CheckRun(const Problem& problem, const Bf16Conv& conv,
              const Guarded& packed, int use, int threads,
              const std::string& reproduce) {
  const Bf16s x = Rounded(problem.x), residual = Rounded(problem.residual);
  Bf16s y(OutCount(problem.shape));
  Guarded workspace(conv.workspace_size());
  p3d::Epilogue<Bf16> e;
  if (use & testing::kScale) e.scale = problem.scale.get();
  if (use & testing::kShift) e.shift = problem.shift.get();
  e.inner_relu = use & testing::kInner;
  e.outer_relu = use & testing::kOuter;
  if (use & testing::kResidual) e.residual = residual.get();
  if (use & testing::kInPlace) {
    std::copy_n(residual.get(), y.count(), y.get());
    e.residual = y.get();
  }
  if (e.residual) e.alpha = .5f, e.beta = use & testing::kOuter ? 3.f : -2.f;
  p3d::SetNumThreads(threads);
  p3d::NextWeights next;
  if (threads > 1) next = {packed.get(), packed.count()};
  conv.Run(x.get(), packed.get(), e, y.get(), workspace.get(), next);

  std::ostringstream where;
  where << reproduce << " (epilogue " << use << ", threads " << threads << ")";
  for (int64_t i = 0; i < y.count(); ++i) {
    const float sum = static_cast<float>(problem.Expected(i, e));
    const float expected = Bf16(sum), actual = y.get()[i];
    if (actual == expected) continue;
    where << ": y[" << i << "] is " << actual << " instead of " << expected;
    Expect(false, where.str());
    return;
  }
  Expect(y.intact() && workspace.intact(), where.str() + ": overruns a buffer");
}

// Multiplied as such where the machine can, else computed of floats.
void CheckName(const Bf16Conv& conv, Isa isa, const std::string& reproduce) {
  const std::string name = conv.name();
  const bool native = isa == Isa::kAvx512 && p3d::MultipliesBf16();
  const char* const set =
      isa == Isa::kAvx512 && !native ? "avx2" : p3d::IsaName(isa);
  const std::string start = native ? "conv_bf16_igemm_" : "conv_bf16_emulated_";
  Expect(name.compare(0, start.size(), start) == 0 &&
             name.find(std::string("_") + set) != std::string::npos,
         reproduce + ": served by " + name);
}

// The layout knows nothing of the input's size, and is no other convolution's.
void CheckPacking(const Problem& problem, const Bf16Conv& conv,
                  const std::string& reproduce) {
  ConvShape larger = problem.shape;
  larger.num += 2;
  for (ConvAxis& axis : larger.axes) axis.in += 3;
  const auto other = Bf16Conv::Create(larger, p3d::ActiveIsa());
  Expect(other->pack_key() == conv.pack_key() &&
             other->packed_size() == conv.packed_size(),
         reproduce + ": another input size has another pack_key");
  const auto floats = Conv::Create(problem.shape, p3d::ActiveIsa());
  Expect(floats->pack_key() != conv.pack_key(),
         reproduce + ": has the pack_key of " + floats->name());
}

void CheckCase(const std::string& text, const std::vector<Isa>& isas,
               bool all_epilogues) {
  const Problem problem(text);
  const int64_t inputs = problem.shape.channels / problem.shape.group;
  for (Isa isa : isas) {
    p3d::SetActiveIsa(isa);
    const auto conv = Bf16Conv::Create(problem.shape, isa);
    const std::string reproduce = std::string("test_conv_bf16 --isa ") +
                                  p3d::IsaName(isa) + " \"" + text + "\"";
    const bool can = problem.shape.group == 1 || inputs % 2 == 0;
    Expect((conv != nullptr) == can,
           reproduce + (can ? ": is not done" : ": cannot be done"));
    if (!conv) continue;
    CheckName(*conv, isa, reproduce);
    CheckPacking(problem, *conv, reproduce);
    Guarded packed(conv->packed_size());
    conv->Pack(problem.weights.get(), packed.get());
    Expect(packed.intact(), reproduce + ": packing overruns a buffer");
    const int last = testing::kScale | testing::kShift | testing::kResidual |
                     testing::kOuter;
    for (int threads : {1, 2, 3}) {
      CheckRun(problem, *conv, packed, 0, threads, reproduce);
      CheckRun(problem, *conv, packed, last, threads, reproduce);
    }
    if (!all_epilogues) continue;
    for (int use = 1; use < 64; ++use) {
      if ((use & testing::kResidual) && (use & testing::kInPlace)) continue;
      CheckRun(problem, *conv, packed, use, 2, reproduce);
    }
  }
}

// Fractions: the sums of what x and weights are rounded to, rounded once more;
// to the bit the same whatever the number of threads.
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
    const auto conv = Bf16Conv::Create(problem.shape, isa);
    const std::string where = std::string(conv->name()) + ", \"" + text + "\"";
    const Bf16s x = Rounded(problem.x);
    Guarded packed(conv->packed_size()), workspace(conv->workspace_size());
    conv->Pack(weights.get(), packed.get());
    std::vector<float> first;
    for (int threads : {1, 2, 3, 7}) {
      Bf16s y(OutCount(problem.shape));
      p3d::SetNumThreads(threads);
      conv->Run(x.get(), packed.get(), p3d::Epilogue<Bf16>(), y.get(),
                workspace.get());
      if (first.empty()) first.assign(y.get(), y.get() + y.count());
      Expect(std::equal(first.begin(), first.end(), y.get()),
             where + ": other bits with " + std::to_string(threads) +
                 " threads than with 1");
    }
    for (size_t i = 0; i < first.size(); ++i) {
      const double sum = problem.sums[i];
      // Half of the last of 8 digits, and what floats lose.
      const double most = std::fabs(sum) / 256 + 1e-5;
      if (std::fabs(first[i] - sum) <= most) continue;
      Expect(false, where + ": y[" + std::to_string(i) + "] is " +
                        std::to_string(first[i]) + " instead of " +
                        std::to_string(sum));
      break;
    }
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

void CheckExtremes() {
  const char* const absurd[] = {
      "1 1 1 1 zero 40000,20000,1,2,0,0 40000,20000,1,2,0,0",
      "1 1 1 1 zero 1,1,1,1,100000,100000 1,1,1,1,100000,100000",
  };
  for (const char* text : absurd) {
    Expect(!Bf16Conv::Create(Parse(text)), std::string(text) + ": is done");
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
  CheckNotFinite(isas);
  CheckRounding("2 67 83 1 zero 3,3,1,1,1,1 9,3,2,1,1,0 8,3,1,1,1,1", isas);
  CheckRounding("1 3 17 1 zero 9,3,1,1,1,1 11,3,1,1,1,1", isas);
  CheckRounding("1 600 40 2 zero 10,3,1,1,1,1 10,3,1,1,1,1", isas);
  for (const char* text : testing::kOdd) CheckCase(text, isas, !chosen.quick);
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
