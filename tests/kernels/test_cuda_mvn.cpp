// The kernels of mvn.cu against what bn.cpp makes of the same values; see
// device.hpp for what this tests where.
//
//   test_cuda_mvn ["num channels pixels"]

#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/bn.hpp"
#include "kernels/mvn_cuda.hpp"
#include "near.hpp"
#include "testing.hpp"

namespace {

using p3d::Geometry;
using p3d::Order;
using p3d::RealOf;
using testing::Device;
using testing::ExpectNear;
using testing::Gaussian;
using testing::Real;

const char* const kCases[] = {"1 1 7",  "2 3 5",    "3 17 9", "2 48 24",
                              "5 8 70", "1 1 8200", "2 70 4", "2 36 260"};

constexpr double kEps = 0.25;

template <typename Value>
std::vector<Value> In(Order order, const Geometry& g,
                      const std::vector<Value>& values) {
  if (order == Order::kCaffe) return values;
  std::vector<Value> last(values.size());
  for (int64_t i = 0; i < g.count(); ++i) {
    const int64_t p = i % g.pixels, plane = i / g.pixels;
    const int64_t n = plane / g.channels, c = plane % g.channels;
    last[(n * g.pixels + p) * g.channels + c] = values[i];
  }
  return last;
}

// In Caffe's order; y and dx are what is expected.
template <typename Dtype>
struct Case {
  Case(const Geometry& g, bool variance, const std::vector<Dtype>& x,
       const std::vector<Dtype>& dy)
      : y(x.size()), dx(x.size()) {
    const Geometry rows = {1, g.num * g.channels, g.pixels};
    const Order order = Order::kCaffe;
    std::vector<double> mean(rows.channels), deviation(rows.channels);
    p3d::ChannelStatistics(rows, order, x.data(), mean.data(),
                           deviation.data());
    for (double& value : deviation)
      value = variance ? std::sqrt(value) + kEps : 1;
    p3d::Normalize<Dtype>(rows, order, mean.data(), deviation.data(), nullptr,
                          nullptr, x.data(), y.data());
    if (variance) {
      p3d::NormalizeBackward<Dtype>(rows, order, mean.data(), deviation.data(),
                                    nullptr, x.data(), dy.data(), nullptr,
                                    nullptr, dx.data());
      return;
    }
    std::vector<double> average(rows.channels), unused(rows.channels);
    p3d::ChannelStatistics(rows, order, dy.data(), average.data(),
                           unused.data());
    p3d::Normalize<Dtype>(rows, order, average.data(), deviation.data(),
                          nullptr, nullptr, dy.data(), dx.data());
  }
  std::vector<Dtype> y, dx;
};

template <typename Value>
void TestOrder(const std::string& where, const Geometry& g, Order order,
               bool variance) {
  using Dtype = RealOf<Value>;
  auto x = Gaussian<Value>(1, g.count());
  const auto dy = Gaussian<Value>(2, g.count());
  // Means that are far from 0, another one in each image.
  for (int64_t i = 0; i < g.count(); ++i) {
    x[i] = static_cast<Dtype>(x[i]) +
           static_cast<Dtype>(1 + i / (g.channels * g.pixels));
  }
  const Case<Dtype> want(g, variance, Real(x), Real(dy));
  const Device<Value> d_x(In(order, g, x)), d_dy(In(order, g, dy));
  const Device<Value> y(g.count());
  const Device<double> moments(2 * g.num * g.channels);
  const Device<double> scratch(p3d::cuda::MvnScratchSize(g, order));
  double* const mean = moments.get();
  double* const deviation = mean + g.num * g.channels;
  p3d::cuda::MvnNormalize(nullptr, g, order, variance, kEps, d_x.get(),
                          scratch.get(), mean, deviation, y.get());
  ExpectNear(y.values(), In(order, g, want.y), where + "MvnNormalize");
  p3d::cuda::MvnBackward(nullptr, g, order, variance, mean, deviation,
                         d_x.get(), d_dy.get(), scratch.get(), d_dy.get());
  ExpectNear(d_dy.values(), In(order, g, want.dx),
             where + "MvnBackward, in place");
  p3d::cuda::MvnNormalize(nullptr, g, order, variance, kEps, d_x.get(),
                          scratch.get(), mean, deviation, d_x.get());
  ExpectNear(d_x.values(), In(order, g, want.y),
             where + "MvnNormalize, in place");
}

template <typename Value>
void TestType(const std::string& text) {
  Geometry g;
  std::istringstream(text) >> g.num >> g.channels >> g.pixels;
  for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
    for (bool variance : {true, false}) {
      const std::string where =
          "test_cuda_mvn \"" + text + "\", from value " +
          std::to_string(testing::FirstValue()) + " on, values of " +
          std::to_string(8 * sizeof(Value)) + " bits" +
          (order == Order::kCaffe ? "" : ", channels last") +
          (variance ? ": " : ", without variance: ");
      TestOrder<Value>(where, g, order, variance);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestType<p3d::Bf16>,
                     TestType<p3d::Fp16>},
                    {0, 1});
  return testing::Finish();
}
