// The kernels of lrn.cu against those of lrn.cpp; see device.hpp for what this
// tests where.
//
//   test_cuda_lrn ["rows channels"]

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/lrn.hpp"
#include "kernels/lrn_cuda.hpp"
#include "near.hpp"
#include "testing.hpp"

namespace {

using p3d::RealOf;
using testing::Device;
using testing::ExpectNear;
using testing::Gaussian;
using testing::Real;

const char* const kCases[] = {"1 1",   "1 2",   "3 5",    "7 17",
                              "2 300", "64 48", "257 16", "900 1"};

// What the formulas are given: k is not 1 and powers are not whole.
constexpr double kK = 1.5, kAlpha = 0.75, kBeta = 0.625;

template <typename Value>
void TestAcross(const std::string& where, int64_t rows, int64_t channels,
                int64_t size) {
  using Sum = RealOf<Value>;
  const int64_t count = rows * channels;
  const auto x = Gaussian<Value>(1, count), dy = Gaussian<Value>(2, count);
  std::vector<Sum> want(count);
  const Device<Value> d_x(x), d_dy(dy), y(count);
  p3d::LrnAcrossChannels(rows, channels, size, kK, kAlpha, kBeta,
                         Real(x).data(), want.data());
  p3d::cuda::LrnAcrossChannels(nullptr, rows, channels, size, kK, kAlpha, kBeta,
                               d_x.get(), y.get());
  ExpectNear(y.values(), want, where + "LrnAcrossChannels");

  p3d::LrnAcrossChannelsBackward(rows, channels, size, kK, kAlpha, kBeta,
                                 Real(x).data(), Real(dy).data(), want.data());
  const Device<Sum> scratch(count);
  p3d::cuda::LrnAcrossChannelsBackward(nullptr, rows, channels, size, kK,
                                       kAlpha, kBeta, d_x.get(), d_dy.get(),
                                       scratch.get(), d_dy.get());
  ExpectNear(d_dy.values(), want,
             where + "LrnAcrossChannelsBackward, in place");
}

template <typename Value>
void TestWithin(const std::string& where, int64_t count) {
  using Sum = RealOf<Value>;
  const auto x = Gaussian<Value>(1, count), dy = Gaussian<Value>(2, count);
  std::vector<Sum> means(count), pulls(count), want(count);
  const Device<Value> d_x(x), d_dy(dy), y(count), dx(count);
  p3d::LrnSquares(count, Real(x).data(), means.data());
  const Device<Sum> d_means(count), d_pulls(count);
  p3d::cuda::LrnSquares(nullptr, count, d_x.get(), d_means.get());
  ExpectNear(d_means.values(), means, where + "LrnSquares");

  p3d::LrnApply(count, kAlpha, kBeta, means.data(), Real(x).data(),
                want.data());
  p3d::cuda::LrnApply(nullptr, count, kAlpha, kBeta, d_means.get(), d_x.get(),
                      y.get());
  ExpectNear(y.values(), want, where + "LrnApply");

  p3d::LrnApplyBackward(count, kAlpha, kBeta, means.data(), Real(x).data(),
                        Real(dy).data(), pulls.data(), want.data());
  p3d::cuda::LrnApplyBackward(nullptr, count, kAlpha, kBeta, d_means.get(),
                              d_x.get(), d_dy.get(), d_pulls.get(), dx.get());
  ExpectNear(d_pulls.values(), pulls, where + "LrnApplyBackward, means");
  ExpectNear(dx.values(), want, where + "LrnApplyBackward");

  p3d::LrnSquaresBackward(count, Real(x).data(), pulls.data(), want.data());
  p3d::cuda::LrnSquaresBackward(nullptr, count, d_x.get(), d_pulls.get(),
                                dx.get());
  ExpectNear(dx.values(), want, where + "LrnSquaresBackward");
}

template <typename Value>
void TestType(const std::string& text) {
  int64_t rows = 0, channels = 0;
  std::istringstream(text) >> rows >> channels;
  const std::string where = "test_cuda_lrn \"" + text + "\", from value " +
                            std::to_string(testing::FirstValue()) +
                            " on, values of " +
                            std::to_string(8 * sizeof(Value)) + " bits: ";
  for (int64_t size : {1, 3, 5, 401}) {
    TestAcross<Value>(where + "size " + std::to_string(size) + ", ", rows,
                      channels, size);
  }
  TestWithin<Value>(where, rows * channels);
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestType<p3d::Bf16>,
                     TestType<p3d::Fp16>},
                    {0, 1});
  return testing::Finish();
}
