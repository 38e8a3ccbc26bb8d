// Conv against the plain loops in double.
//
//   test_conv [--quick] [--isa NAME] ["case"]
//
// Cases are written as in conv_cases.hpp. All values are small integers
// (scales: powers of two), so that every order of summation gives the same sum
// and results are compared without a tolerance.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "conv_problem.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/conv_winograd.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/error.hpp"
#include "testing.hpp"

namespace {

using p3d::BlobStrides;
using p3d::Conv;
using p3d::ConvAxis;
using p3d::ConvEpilogue;
using p3d::ConvShape;
using p3d::Isa;
using testing::Expect;
using testing::ExpectError;
using testing::Guarded;
using testing::Parse;
using testing::Problem;

void CheckName(const Conv& conv, Isa isa, const std::string& reproduce) {
  const std::string name = conv.name();
  // Matrix registers have no floats.
  const Isa vectors = std::min(isa, Isa::kAvx512);
  const std::string ending = std::string("_") + p3d::IsaName(vectors);
  const bool ends =
      name.size() > ending.size() &&
      name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
  Expect(ends && (name.find("_igemm_") != std::string::npos ||
                  name.find("_winograd_") != std::string::npos ||
                  name.find("_depthwise_") != std::string::npos),
         reproduce + ": served by " + name);
}

void CheckPacking(const Problem& problem, const Conv& conv,
                  const Guarded& packed, const std::string& reproduce) {
  Guarded back(problem.weights.count());
  conv.Unpack(packed.get(), back.get());
  const bool same = std::memcmp(back.get(), problem.weights.get(),
                                back.count() * sizeof(float)) == 0;
  Expect(same, reproduce + ": Unpack does not give back the weights");
  Expect(packed.intact() && back.intact(),
         reproduce + ": packing overruns a buffer");
  // The layout knows nothing of the input's size.
  ConvShape larger = problem.shape;
  larger.num += 2;
  for (ConvAxis& axis : larger.axes) axis.in += 3;
  const std::unique_ptr<Conv> other = Conv::Create(larger, p3d::ActiveIsa());
  Expect(other->pack_key() == conv.pack_key() &&
             other->packed_size() == conv.packed_size(),
         reproduce + ": another input size has another pack_key");
}

// What serves `shape`; and Winograd's, where it can, whether it pays or not.
std::vector<std::unique_ptr<Conv>> CreateAll(const ConvShape& shape, Isa isa) {
  std::vector<std::unique_ptr<Conv>> convs;
  convs.push_back(Conv::Create(shape, isa));
  std::unique_ptr<Conv> winograd = p3d::CreateConvWinogradAnyway(shape, isa);
  if (winograd && std::strcmp(winograd->name(), convs[0]->name()) != 0) {
    convs.push_back(std::move(winograd));
  }
  return convs;
}

void CheckConv(const Problem& problem, const Conv& conv, Isa isa,
               bool all_epilogues) {
  const std::string reproduce = std::string("test_conv --isa ") +
                                p3d::IsaName(isa) + " \"" + problem.text +
                                "\" by " + conv.name();
  CheckName(conv, isa, reproduce);
  Guarded packed(conv.packed_size());
  conv.Pack(problem.weights.get(), packed.get());
  CheckPacking(problem, conv, packed, reproduce);
  testing::CheckRuns<float, float>(problem, conv, packed, all_epilogues,
                                   reproduce);
}

void CheckCase(const std::string& text, const std::vector<Isa>& isas,
               bool all_epilogues) {
  const Problem problem(text);
  for (Isa isa : isas) {
    p3d::SetActiveIsa(isa);
    for (const auto& conv : CreateAll(problem.shape, isa)) {
      CheckConv(problem, *conv, isa, all_epilogues);
    }
  }
}

// The largest error, as a share of the largest sum; and to the bit the same
// whatever the number of threads.
double RoundingError(const Problem& problem, const Conv& conv,
                     const std::string& where) {
  const std::vector<float> first = testing::RunOnThreads<float, float>(
      problem, conv, problem.weights, where);
  double worst = 0, largest = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    worst = std::max(worst, std::fabs(first[i] - problem.sums[i]));
    largest = std::max(largest, std::fabs(problem.sums[i]));
  }
  return worst / largest;
}

// Values that are not integers: `mean` plus up to 1 of either sign, some of
// them `outlier` times as large. Each set against double, within rounding.
void CheckRounding(const std::string& text, float mean, float outlier,
                   double limit, const std::vector<Isa>& isas) {
  Problem problem(text);
  std::minstd_rand random(1701);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t i = 0; i < problem.x.count(); ++i) {
    problem.x.get()[i] = mean + uniform(random);
    if (random() % 16 == 0) problem.x.get()[i] *= outlier;
  }
  for (int64_t i = 0; i < problem.weights.count(); ++i) {
    problem.weights.get()[i] = uniform(random);
  }
  problem.Sum();
  for (Isa isa : isas) {
    for (const auto& conv : CreateAll(problem.shape, isa)) {
      std::ostringstream where;
      where << conv->name() << ", \"" << text << "\" with fractions, mean "
            << mean << ", outliers of " << outlier;
      const double error = RoundingError(problem, *conv, where.str());
      where << ": rounding errors of " << error;
      Expect(error < limit, where.str());
    }
  }
}

void CheckRounding(const std::vector<Isa>& isas) {
  CheckRounding("2 67 83 1 zero 3,3,1,1,1,1 9,3,2,1,1,0 8,3,1,1,1,1", 0, 1,
                3e-6, isas);
  const char* const squares[] = {
      "1 3 17 1 zero 9,3,1,1,1,1 11,3,1,1,1,1",
      "2 67 83 1 zero 2,1,1,1,0,0 9,3,1,1,0,2 8,3,1,1,1,1",
      "1 600 40 1 zero 10,3,1,1,1,1 10,3,1,1,1,1",
  };
  for (const char* text : squares) {
    CheckRounding(text, 0, 1, 3e-6, isas);
    CheckRounding(text, 100, 1, 3e-6, isas);
    CheckRounding(text, 0, 1e4f, 3e-6, isas);
    CheckRounding(text, 1e-6f, 1e-3f, 3e-6, isas);
  }
}

// What is not a number comes out where it went in, also through ReLU.
void CheckNotANumber(const std::vector<Isa>& isas) {
  for (Isa isa : isas) {
    const ConvShape shape = Parse("1 2 21 1 zero 9,3,1,1,1,1");
    const std::unique_ptr<Conv> conv = Conv::Create(shape, isa);
    std::vector<float> x(18, 1.f), weights(126, 1.f), scale(21, 1.f);
    x[9] = std::numeric_limits<float>::quiet_NaN();  // pixel 4
    Guarded packed(conv->packed_size()), workspace(conv->workspace_size());
    Guarded y(9 * 21);
    conv->Pack(weights.data(), packed.get());
    ConvEpilogue e;
    e.inner_relu = e.outer_relu = true;
    conv->Run(x.data(), packed.get(), e, y.get(), workspace.get());
    for (int i = 0; i < 9 * 21; ++i) {
      const bool sees = i / 21 >= 3 && i / 21 <= 5;
      Expect(std::isnan(y.get()[i]) == sees,
             std::string(conv->name()) + ": NaN at pixel 4, but pixel " +
                 std::to_string(i / 21) + " is " + std::to_string(y.get()[i]));
    }
  }
}

// Winograd's takes it to the outputs of the tiles that see it, and no further.
void CheckNotANumberInTiles(const std::vector<Isa>& isas) {
  for (Isa isa : isas) {
    const ConvShape shape = Parse("1 2 21 1 zero 9,3,1,1,1,1 9,3,1,1,1,1");
    const auto conv = p3d::CreateConvWinogradAnyway(shape, isa);
    std::vector<float> x(81 * 2, 1.f), weights(21 * 18, 1.f);
    x[2 * (4 * 9 + 5)] = std::numeric_limits<float>::quiet_NaN();
    Guarded packed(conv->packed_size()), workspace(conv->workspace_size());
    Guarded y(81 * 21);
    conv->Pack(weights.data(), packed.get());
    ConvEpilogue e;
    e.inner_relu = e.outer_relu = true;
    conv->Run(x.data(), packed.get(), e, y.get(), workspace.get());
    for (int i = 0; i < 81 * 21; ++i) {
      const int h = i / 21 / 9, w = i / 21 % 9;
      const bool sees = h >= 3 && h <= 5 && w >= 4 && w <= 6;
      const bool may = h >= 2 && h <= 5 && w >= 4 && w <= 7;
      const bool is = std::isnan(y.get()[i]);
      Expect(is ? may : !sees, std::string(conv->name()) +
                                   ": NaN at pixel 4 5, but pixel " +
                                   std::to_string(h) + " " + std::to_string(w) +
                                   " is " + std::to_string(y.get()[i]));
    }
  }
}

// What Winograd's takes, and what is left to others because it cannot or would
// not do it faster.
void CheckWinogradChoice(const std::vector<Isa>& isas) {
  const struct {
    const char* text;
    bool chosen;
  } cases[] = {
      {"1 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", true},
      {"1 128 128 1 zero 4,1,1,1,0,0 20,3,1,1,1,1 20,3,1,1,1,1", true},
      {"1 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1", true},
      {"8 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1", true},
      {"1 512 512 1 zero 28,3,1,1,1,1 28,3,1,1,1,1", true},
      {"1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1", false},
      {"1 3 64 1 zero 80,3,1,1,1,1 80,3,1,1,1,1", false},
      {"1 64 64 1 zero 40,3,2,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 zero 40,3,1,2,1,1 40,3,1,1,1,1", false},
      {"1 64 64 2 zero 40,3,1,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 replicate 40,3,1,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 zero 8,1,1,1,1,0 40,3,1,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 zero 8,3,1,1,1,1 40,3,1,1,1,1 40,3,1,1,1,1", false},
      {"1 64 64 1 zero 40,3,1,1,1,1 40,1,1,1,0,0", false},
  };
  for (const auto& c : cases) {
    for (Isa isa : isas) {
      const std::string name = Conv::Create(Parse(c.text), isa)->name();
      Expect((name.find("_winograd_2x2_") != std::string::npos) == c.chosen,
             std::string("\"") + c.text + "\" is served by " + name);
    }
  }
}

// Both memory orders of the plain loops, against sums by hand.
void CheckReference() {
  ConvShape shape = Parse("1 2 2 1 zero 2,1,1,1,0,0 3,2,1,1,1,0");
  // x[c][l][h] and w[o][c][k].
  const std::vector<float> x = {1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60};
  const std::vector<float> w = {1, 2, 0, 1, 0, 0, 3, 0};
  // y[o][l][h] = 2 x0[h] + x0[h-1] + x1[h];  3 x1[h-1]
  const std::vector<float> expected = {12, 25, 38, 48, 54 + 10, 77,
                                       0,  30, 60, 0,  120,     150};
  std::vector<float> y(12);
  p3d::ConvReference<float>(shape, BlobStrides::CaffeOrder(2, {2, 3}), x.data(),
                            w.data(), BlobStrides::CaffeOrder(2, {2, 3}),
                            y.data());
  Expect(y == expected, "ConvReference in Caffe's order");
  std::vector<float> x_last(12), y_last(12);
  for (int i = 0; i < 12; ++i) x_last[i % 6 * 2 + i / 6] = x[i];
  p3d::ConvReference<float>(
      shape, BlobStrides::ChannelsLast(2, {2, 3}), x_last.data(), w.data(),
      BlobStrides::ChannelsLast(2, {2, 3}), y_last.data());
  for (int i = 0; i < 12; ++i) y[i] = y_last[i % 6 * 2 + i / 6];
  Expect(y == expected, "ConvReference with channels last");
}

// No large lists, no large workspace, no wait.
void CheckExtremes() {
  for (const char* text : testing::kExtreme) {
    const ConvShape shape = Parse(text);
    const std::unique_ptr<Conv> conv = Conv::Create(shape);
    Expect(conv->workspace_size() <= int64_t{1} << 29,
           std::string(text) + ": workspace of " +
               std::to_string(conv->workspace_size()));
  }
}

void CheckErrors() {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {
      {"0 1 1 1 zero 1,1,1,1,0,0", "batch size is 0"},
      {"1 0 1 1 zero 1,1,1,1,0,0", "input channels is 0"},
      {"1 1 0 1 zero 1,1,1,1,0,0", "num_output is 0"},
      {"1 1 1 0 zero 1,1,1,1,0,0", "group is 0"},
      {"1 4 6 4 zero 1,1,1,1,0,0", "group 4 must divide"},
      {"1 6 4 4 zero 1,1,1,1,0,0", "group 4 must divide"},
      {"1 1 1 1 zero", "no spatial axis"},
      {"1 1 1 1 zero 0,1,1,1,0,0", "input size of spatial axis 0 is 0"},
      {"1 1 1 1 zero 5,0,1,1,0,0", "kernel size of spatial axis 0 is 0"},
      {"1 1 1 1 zero 5,1,1,1,0,0 5,1,0,1,0,0", "stride of spatial axis 1 is 0"},
      {"1 1 1 1 zero 5,1,1,0,0,0", "dilation of spatial axis 0 is 0"},
      {"1 1 1 1 zero 5,1,1,1,-1,0", "is -1"},
      {"1 1 1 1 zero 5,1,1,1,0,-1", "is -1"},
      {"1 1 1 1 zero 5,8,1,1,1,1", "larger than the padded input of 7"},
      {"1 1 1 1 zero 5,3,1,4,1,1", "larger than the padded input of 7"},
      {"1 1048576 1 1 zero 1048577,1,1,1,0,0", "more than 2^40"},
      {"1099511627776 1 1 1 zero 9,1,1,1,0,0", "more than 2^40"},
      {"1 1 1099511627776 1 zero 2,1,1,1,0,0", "more than 2^40"},
      {"9223372036854775807 1 1 1 zero 1,1,1,1,0,0", "at most 2^40"},
      {"1 1 1 1 zero 1,1,1,1,9223372036854775807,0", "at most 2^40"},
      {"1 1 1 1 zero 9,2,1,9223372036854775807,0,0", "at most 2^40"},
  };
  for (const auto& c : cases) {
    ExpectError([&] { Conv::Create(Parse(c.text)); }, c.part,
                std::string("test_conv \"") + c.text + "\"");
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const testing::Selection chosen(argc, argv);
  const std::vector<Isa>& isas = chosen.isas;
  if (!chosen.cases.empty()) {
    for (const std::string& text : chosen.cases) CheckCase(text, isas, true);
    return testing::Finish();
  }
  CheckReference();
  CheckErrors();
  CheckExtremes();
  CheckRounding(isas);
  CheckNotANumber(isas);
  CheckNotANumberInTiles(isas);
  CheckWinogradChoice(isas);
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
