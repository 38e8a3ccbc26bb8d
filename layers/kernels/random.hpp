#ifndef P3D_KERNELS_RANDOM_HPP_
#define P3D_KERNELS_RANDOM_HPP_

#include <cstdint>

#include "kernels/random_bits.hpp"

namespace p3d {

// Random numbers that are the same on every platform, compiler and number of
// threads: SplitMix64 (Steele, Lea, Flood 2014), and normal deviates by
// Marsaglia's polar method with a logarithm of its own.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next();    // 64 random bits
  double Uniform();   // [0, 1), a multiple of 2^-53
  double Gaussian();  // mean 0, standard deviation 1

  // The seed of a generator with the same bits to come.
  uint64_t state() const { return state_; }

 private:
  uint64_t state_;
  double spare_ = 0;
  bool has_spare_ = false;
};

// Makes everything random from now on a function of `seed`. Without it the
// operating system supplies one per process.
void SetRandomSeed(uint64_t seed);

// What SetRandomSeed takes to have everything random from now on once more.
uint64_t RandomState();

// The seed of the next thing that needs random numbers, from any thread. Draw
// one per use: what is made of it does not depend on when that happens.
uint64_t NextSeed();

// values[i] uniform in [low, high)
template <typename Dtype>
void FillUniform(uint64_t seed, double low, double high, int64_t count,
                 Dtype* values);

// values[i] normal with the given mean and standard deviation
template <typename Dtype>
void FillGaussian(uint64_t seed, double mean, double deviation, int64_t count,
                  Dtype* values);

// y[i] = scale * x[i] with probability `keep`, else 0. y may be x.
template <typename Dtype>
void KeepRandomly(uint64_t seed, double keep, double scale, int64_t count,
                  const Dtype* x, Dtype* y);

}  // namespace p3d

#endif  // P3D_KERNELS_RANDOM_HPP_
