// Random numbers: the same on every machine, and random.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace {

using testing::Expect;

// SplitMix64 from state 1234567, as published with the algorithm.
void TestKnownValues() {
  const uint64_t known[] = {6457827717110365317u, 3203168211198807973u,
                            9817491932198370423u, 4593380528125082431u,
                            16408922859458223821u};
  p3d::Random random(1234567);
  for (uint64_t value : known) {
    const uint64_t next = random.Next();
    Expect(next == value, "SplitMix64 gives " + std::to_string(next) +
                              " instead of " + std::to_string(value));
  }
}

// These bits must not change: people rely on seeds.
void TestPortable() {
  p3d::Random random(1701);
  double sum = 0;
  for (int i = 0; i < 100; ++i) sum += random.Gaussian();
  char text[40];
  std::snprintf(text, sizeof text, "%a", sum);
  Expect(std::string(text) == "0x1.6fd910d997b54p+1",
         std::string("100 normal deviates of seed 1701 add up to ") + text);
}

void TestMoments() {
  const int64_t count = 400000;
  std::vector<double> x(count);
  p3d::FillGaussian(1, 3, 2, count, x.data());
  double mean = 0, variance = 0, skew = 0, kurtosis = 0;
  for (double v : x) mean += v / count;
  for (double v : x) {
    const double d = (v - mean) / 2;
    variance += d * d / count;
    skew += d * d * d / count;
    kurtosis += d * d * d * d / count;
  }
  Expect(std::fabs(mean - 3) < 0.015, "normal mean " + std::to_string(mean));
  Expect(std::fabs(variance - 1) < 0.01,
         "normal variance " + std::to_string(variance));
  Expect(std::fabs(skew) < 0.02, "normal skew " + std::to_string(skew));
  Expect(std::fabs(kurtosis - 3) < 0.05,
         "normal kurtosis " + std::to_string(kurtosis));

  p3d::FillUniform(2, -1, 3, count, x.data());
  mean = 0;
  for (double v : x) mean += v / count;
  Expect(std::fabs(mean - 1) < 0.01, "uniform mean " + std::to_string(mean));
  const auto ends = std::minmax_element(x.begin(), x.end());
  Expect(*ends.first >= -1 && *ends.first < -0.999 && *ends.second < 3 &&
             *ends.second > 2.999,
         "uniform range");
}

// Every value that is kept is scaled, and as many are kept as should be.
void TestKeep() {
  const int64_t count = 100000;
  std::vector<float> x(count, 3), y(count);
  for (double keep : {0.0, 0.1, 0.5, 1.0}) {
    p3d::KeepRandomly(4, keep, 2, count, x.data(), y.data());
    const int64_t kept = std::count(y.begin(), y.end(), 6.f);
    Expect(kept + std::count(y.begin(), y.end(), 0.f) == count,
           "KeepRandomly makes something but 0 and 6");
    Expect(std::fabs(static_cast<double>(kept) / count - keep) < 0.01,
           "KeepRandomly keeps " + std::to_string(kept) + " of 100000 at " +
               std::to_string(keep));
  }
}

void TestThreads() {
  const int64_t count = 100001;
  std::vector<float> one(count), three(count);
  p3d::SetNumThreads(1);
  p3d::FillGaussian(9, 0, 1, count, one.data());
  p3d::SetNumThreads(3);
  p3d::FillGaussian(9, 0, 1, count, three.data());
  Expect(one == three, "threads change random numbers");
  std::sort(one.begin(), one.end());
  const int64_t different = std::unique(one.begin(), one.end()) - one.begin();
  Expect(different > count * 0.98, "parts of the values repeat");
}

void TestSeeds() {
  p3d::SetRandomSeed(42);
  const uint64_t a = p3d::NextSeed(), b = p3d::NextSeed();
  p3d::SetRandomSeed(42);
  Expect(a != b && p3d::NextSeed() == a && p3d::NextSeed() == b,
         "SetRandomSeed makes seeds repeat");
  p3d::SetRandomSeed(43);
  Expect(p3d::NextSeed() != a, "another seed, other seeds");
  Expect(p3d::PartSeed(1, 0) != p3d::PartSeed(1, 1) &&
             p3d::PartSeed(1, 0) != p3d::PartSeed(2, 0) &&
             p3d::PartSeed(0, 1) != p3d::PartSeed(1, 0),
         "parts have seeds of their own");
}

}  // namespace

int main() {
  TestKnownValues();
  TestPortable();
  TestMoments();
  TestKeep();
  TestThreads();
  TestSeeds();
  return testing::Finish();
}
