#ifndef P3D_TESTS_KERNELS_NEAR_HPP_
#define P3D_TESTS_KERNELS_NEAR_HPP_

// What tests of kernels for any kind of values compare.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/narrow.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace testing {

template <typename Value>
std::vector<Value> Gaussian(uint64_t seed, int64_t count) {
  std::vector<float> values(count);
  p3d::FillGaussian(seed, 0, 1, count, values.data());
  return std::vector<Value>(values.begin(), values.end());
}

// The same values with the digits of what sums are kept as.
template <typename Value>
std::vector<p3d::RealOf<Value>> Real(const std::vector<Value>& values) {
  return std::vector<p3d::RealOf<Value>>(values.begin(), values.end());
}

// To a few roundings of the largest magnitude; those of 16 bits are rounded
// once, or twice where two parts are added up. NaN is near nothing.
template <typename Value, typename Want>
void ExpectNear(const std::vector<Value>& got, const std::vector<Want>& want,
                const std::string& message) {
  double most = 1e-30, error = got.size() == want.size() ? 0 : INFINITY;
  for (Want value : want) most = std::max<double>(most, std::fabs(value));
  for (size_t i = 0; i < want.size(); ++i) {
    const double distance = std::fabs(static_cast<double>(got[i]) - want[i]);
    error = distance <= error ? error : distance;
  }
  const double digits = std::is_same<Value, p3d::Bf16>::value   ? 1. / 128
                        : std::is_same<Value, p3d::Fp16>::value ? 1. / 1024
                        : sizeof(Value) == 4                    ? 4e-6
                                                                : 1e-12;
  Expect(error <= digits * most, message + " differs by " +
                                     std::to_string(error) + " of " +
                                     std::to_string(most));
}

// Bit for bit, once `want` is rounded.
template <typename Value, typename Want>
void ExpectSame(const std::vector<Value>& got, const std::vector<Want>& want,
                const std::string& message) {
  const std::vector<Value> rounded(want.begin(), want.end());
  Expect(got.size() == rounded.size() &&
             (got.empty() || std::memcmp(got.data(), rounded.data(),
                                         got.size() * sizeof(Value)) == 0),
         message);
}

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_NEAR_HPP_
