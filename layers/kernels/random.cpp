#include "kernels/random.hpp"

#include <cmath>
#include <mutex>
#include <random>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// ln(x) for x > 0 by ln(m) = 2 artanh((m - 1) / (m + 1)), m in [0.7, 1.42).
// libm's differs between platforms in the last bit.
double Log(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1);
  double sum = 0;
  for (int odd = 21; odd >= 1; odd -= 2) sum = sum * s * s + 1.0 / odd;
  return exponent * 0.69314718055994531 + 2 * s * sum;
}

// The generator behind NextSeed.
struct Seeds {
  std::mutex mutex;
  Random random{std::random_device()() * kRandomStep + std::random_device()()};
};

Seeds& GlobalSeeds() {
  static Seeds seeds;
  return seeds;
}

// body(i, random) for every i; each part of the range has its own generator, so
// that threads change nothing.
template <typename Body>
void ForEachValue(uint64_t seed, int64_t count, const Body& body) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    Random random(PartSeed(seed, begin));
    for (int64_t i = begin; i < end; ++i) body(i, &random);
  });
}

}  // namespace

uint64_t Random::Next() { return MixBits(state_ += kRandomStep); }

double Random::Uniform() { return UniformFromBits(Next()); }

double Random::Gaussian() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double u, v, square;
  do {
    u = 2 * Uniform() - 1;
    v = 2 * Uniform() - 1;
    square = u * u + v * v;
  } while (square >= 1 || square == 0);
  const double factor = std::sqrt(-2 * Log(square) / square);
  spare_ = v * factor;
  has_spare_ = true;
  return u * factor;
}

void SetRandomSeed(uint64_t seed) {
  std::lock_guard<std::mutex> lock(GlobalSeeds().mutex);
  GlobalSeeds().random = Random(seed);
}

uint64_t RandomState() {
  std::lock_guard<std::mutex> lock(GlobalSeeds().mutex);
  return GlobalSeeds().random.state();
}

uint64_t NextSeed() {
  std::lock_guard<std::mutex> lock(GlobalSeeds().mutex);
  return GlobalSeeds().random.Next();
}

template <typename Dtype>
void FillUniform(uint64_t seed, double low, double high, int64_t count,
                 Dtype* values) {
  ForEachValue(seed, count, [=](int64_t i, Random* random) {
    values[i] = static_cast<Dtype>(low + (high - low) * random->Uniform());
  });
}

template <typename Dtype>
void FillGaussian(uint64_t seed, double mean, double deviation, int64_t count,
                  Dtype* values) {
  ForEachValue(seed, count, [=](int64_t i, Random* random) {
    values[i] = static_cast<Dtype>(mean + deviation * random->Gaussian());
  });
}

template <typename Dtype>
void KeepRandomly(uint64_t seed, double keep, double scale, int64_t count,
                  const Dtype* x, Dtype* y) {
  const Dtype factor = static_cast<Dtype>(scale);
  ForEachValue(seed, count, [=](int64_t i, Random* random) {
    y[i] = random->Uniform() < keep ? factor * x[i] : Dtype(0);
  });
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void FillUniform(uint64_t, double, double, int64_t, Dtype*);       \
  template void FillGaussian(uint64_t, double, double, int64_t, Dtype*);      \
  template void KeepRandomly(uint64_t, double, double, int64_t, const Dtype*, \
                             Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
