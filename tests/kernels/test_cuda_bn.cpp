// The batch normalisation of bn.cu against plain loops in long double; see
// device.hpp for what this tests where.
//
//   test_cuda_bn ["num channels pixels mean"]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/bn_cuda.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace {

using p3d::Geometry;
using p3d::Order;
using testing::Device;
using testing::Expect;

// Sizes, and the mean of all values.
const char* const kCases[] = {
    "1 1 1 0",       "1 3 1 5",        "7 1 3 1",    "300 5 1 0",
    "3 4 7 -2",      "2 17 60 0",      "2 32 63 0",  "2 3 2000 1e4",
    "3 300 200 1e3", "5 2 255 0",      "5 2 256 0",  "5 2 257 0",
    "3 33 301 7",    "2 600 100 -1e2", "3 1 9001 0", "1 2 70000 1e6",
};

template <typename Dtype>
using Values = std::vector<Dtype>;

template <typename Dtype>
Values<Dtype> Gaussian(uint64_t seed, double mean, int64_t count) {
  Values<Dtype> values(count);
  p3d::FillGaussian(seed, mean, 1, count, values.data());
  return values;
}

long double Largest(const Values<long double>& values) {
  long double largest = 0;
  for (long double value : values) {
    largest = std::max(largest, std::fabs(value));
  }
  return largest;
}

// Largest difference against `unit`.
template <typename Got>
void ExpectNear(const Values<Got>& got, const Values<long double>& want,
                long double unit, double tolerance,
                const std::string& message) {
  long double error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const long double distance = std::fabs(got[i] - want[i]);
    error = distance <= error ? error : distance;  // keeps NaN
  }
  Expect(error <= tolerance * unit + 1e-30, message + " differs by " +
                                                std::to_string(error) + " of " +
                                                std::to_string(unit));
}

template <typename Got>
void ExpectNear(const Values<Got>& got, const Values<long double>& want,
                double tolerance, const std::string& message) {
  ExpectNear(got, want, Largest(want), tolerance, message);
}

// What has to come out, for a case: plain loops over channels.
template <typename Dtype>
struct Wanted {
  Wanted(const Geometry& g, Order order, double eps, const Values<Dtype>& x,
         const Values<Dtype>& dy, const Values<Dtype>& slope,
         const Values<Dtype>& bias)
      : mean(g.channels),
        variance(g.channels),
        dslope(g.channels),
        dbias(g.channels),
        y(x.size()),
        dx(x.size()),
        frozen_dx(x.size()) {
    for (int64_t c = 0; c < g.channels; ++c) {
      Channel(g, order, eps, c, x, dy, slope[c], bias[c]);
    }
  }

  void Channel(const Geometry& g, Order order, double eps, int64_t c,
               const Values<Dtype>& x, const Values<Dtype>& dy,
               long double slope, long double bias) {
    const long double m = g.num * g.pixels;
    std::vector<int64_t> places;
    for (int64_t n = 0; n < g.num; ++n) {
      for (int64_t p = 0; p < g.pixels; ++p) {
        places.push_back(order == Order::kCaffe
                             ? (n * g.channels + c) * g.pixels + p
                             : (n * g.pixels + p) * g.channels + c);
      }
    }
    for (int64_t i : places) mean[c] += x[i] / m;
    for (int64_t i : places) {
      variance[c] += (x[i] - mean[c]) * (x[i] - mean[c]) / m;
    }
    const long double deviation = std::sqrt(variance[c] + eps);
    for (int64_t i : places) {
      const long double t = (x[i] - mean[c]) / deviation;
      y[i] = slope * t + bias;
      dslope[c] += dy[i] * t;
      dbias[c] += dy[i];
    }
    for (int64_t i : places) {
      const long double t = (x[i] - mean[c]) / deviation;
      frozen_dx[i] = slope / deviation * dy[i];
      dx[i] = slope / deviation * (dy[i] - dbias[c] / m - t * dslope[c] / m);
    }
  }

  Values<long double> mean, variance, dslope, dbias, y, dx, frozen_dx;
};

template <typename Dtype>
void TestOrder(const std::string& text, Order order) {
  std::istringstream in(text);
  Geometry g;
  double at = 0;
  in >> g.num >> g.channels >> g.pixels >> at;
  const std::string where =
      "test_cuda_bn \"" + text + "\"" +
      (order == Order::kCaffe ? " in Caffe's order" : " channels last") +
      (sizeof(Dtype) == 4 ? ", float: " : ", double: ");
  const double eps = 1e-5, tolerance = sizeof(Dtype) == 4 ? 2e-6 : 1e-9;
  const Values<Dtype> x = Gaussian<Dtype>(1, at, g.count()),
                      dy = Gaussian<Dtype>(2, 0.1, g.count()),
                      slope = Gaussian<Dtype>(3, 1, g.channels),
                      bias = Gaussian<Dtype>(4, 0, g.channels);
  const Wanted<Dtype> want(g, order, eps, x, dy, slope, bias);

  const Device<Dtype> d_x(x), d_dy(dy), d_slope(slope), d_bias(bias);
  const Device<double> scratch(p3d::cuda::BnScratchSize(g, order)),
      mean(g.channels), variance(g.channels), deviation(g.channels);
  p3d::cuda::ChannelStatistics(nullptr, g, order, d_x.get(), scratch.get(),
                               mean.get(), variance.get());
  ExpectNear(mean.values(), want.mean, 1e-14, where + "mean");
  ExpectNear(variance.values(), want.variance, 1e-9, where + "variance");
  const Values<double> first = variance.values();
  p3d::cuda::ChannelStatistics(nullptr, g, order, d_x.get(), scratch.get(),
                               mean.get(), variance.get());
  Expect(variance.values() == first, where + "variance, once more");

  const Device<double> center(g.channels);
  p3d::cuda::Moments(nullptr, g.channels, eps, mean.get(), variance.get(),
                     center.get(), deviation.get());
  const Device<Dtype> y(g.count());
  p3d::cuda::Normalize(nullptr, g, order, center.get(), deviation.get(),
                       d_slope.get(), d_bias.get(), d_x.get(), scratch.get(),
                       y.get());
  ExpectNear(y.values(), want.y, tolerance, where + "y");

  const Device<Dtype> dx(g.count()), dslope(Values<Dtype>(g.channels, 0)),
      dbias(Values<Dtype>(g.channels, 0));
  p3d::cuda::NormalizeBackward(nullptr, g, order, center.get(), deviation.get(),
                               d_slope.get(), d_x.get(), d_dy.get(),
                               scratch.get(), dslope.get(), dbias.get(),
                               dx.get());
  ExpectNear(dslope.values(), want.dslope, 1e2 * tolerance, where + "dslope");
  ExpectNear(dbias.values(), want.dbias, 1e2 * tolerance, where + "dbias");
  // dx is what cancellation leaves of the frozen one.
  ExpectNear(dx.values(), want.dx, Largest(want.frozen_dx), tolerance,
             where + "dx");

  p3d::cuda::NormalizeBackwardFrozen(nullptr, g, order, deviation.get(),
                                     d_slope.get(), d_dy.get(), scratch.get(),
                                     dx.get());
  ExpectNear(dx.values(), want.frozen_dx, tolerance, where + "frozen dx");
}

// Two ranks, one with the first half of the batch, together.
template <typename Dtype>
void TestRanks(const std::string& text, Order order) {
  std::istringstream in(text);
  Geometry g;
  double at = 0;
  in >> g.num >> g.channels >> g.pixels >> at;
  if (g.num < 2) return;
  const std::string where =
      "test_cuda_bn \"" + text + "\" for two ranks" +
      (order == Order::kCaffe ? " in Caffe's order" : " channels last") +
      (sizeof(Dtype) == 4 ? ", float: " : ", double: ");
  const double eps = 1e-5, tolerance = sizeof(Dtype) == 4 ? 2e-6 : 1e-9;
  const Values<Dtype> x = Gaussian<Dtype>(1, at, g.count()),
                      dy = Gaussian<Dtype>(2, 0.1, g.count()),
                      slope = Gaussian<Dtype>(3, 1, g.channels);
  const Wanted<Dtype> want(g, order, eps, x, dy, slope,
                           Values<Dtype>(g.channels, 0));

  Geometry parts[] = {g, g};
  parts[0].num = g.num / 2;
  parts[1].num = g.num - parts[0].num;
  const int64_t begins[] = {0, parts[0].count()}, size = 2 * g.channels + 1;
  const Device<double> scratch(p3d::cuda::BnScratchSize(g, order)),
      all(2 * size), joined(size), deviation(g.channels);
  const Device<Dtype> d_x(x), d_dy(dy), d_slope(slope), dx(g.count()),
      dslope(Values<Dtype>(g.channels, 0)), dbias(Values<Dtype>(g.channels, 0));
  for (int rank = 0; rank < 2; ++rank) {
    p3d::cuda::RankStatistics(nullptr, parts[rank], order,
                              d_x.get() + begins[rank], scratch.get(),
                              all.get() + rank * size);
  }
  p3d::cuda::JoinStatistics(nullptr, 2, g.channels, all.get(), joined.get());
  const Values<double> statistics = joined.values();
  const double* mean = joined.get();
  Expect(statistics.back() == g.num * g.pixels, where + "count");
  ExpectNear(
      Values<double>(statistics.begin(), statistics.begin() + g.channels),
      want.mean, 1e-14, where + "mean");
  ExpectNear(
      Values<double>(statistics.begin() + g.channels, statistics.end() - 1),
      want.variance, 1e-9, where + "variance");

  p3d::cuda::Moments(nullptr, g.channels, eps, mean, mean + g.channels,
                     joined.get(), deviation.get());
  Values<double> sum(2 * g.channels, 0);
  for (int rank = 0; rank < 2; ++rank) {
    const Device<double> own(2 * g.channels);
    p3d::cuda::NormalizeBackwardSums(nullptr, parts[rank], order, mean,
                                     deviation.get(), d_x.get() + begins[rank],
                                     d_dy.get() + begins[rank], scratch.get(),
                                     dslope.get(), dbias.get(), own.get());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += own.values()[i];
  }
  ExpectNear(dslope.values(), want.dslope, 1e2 * tolerance, where + "dslope");
  ExpectNear(dbias.values(), want.dbias, 1e2 * tolerance, where + "dbias");
  const Device<double> sums(sum);
  for (int rank = 0; rank < 2; ++rank) {
    p3d::cuda::NormalizeBackwardJoint(
        nullptr, parts[rank], order, mean, deviation.get(), d_slope.get(),
        sums.get(), mean + 2 * g.channels, d_x.get() + begins[rank],
        d_dy.get() + begins[rank], scratch.get(), dx.get() + begins[rank]);
  }
  ExpectNear(dx.values(), want.dx, Largest(want.frozen_dx), tolerance,
             where + "dx");
}

template <typename Dtype>
void TestType(const std::string& text) {
  for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
    TestOrder<Dtype>(text, order);
    TestRanks<Dtype>(text, order);
  }
}

// Null pointers, the sums that grow, the results that are arguments.
void TestOptions() {
  const Geometry g{2, 1, 3};
  const Device<double> scratch(p3d::cuda::BnScratchSize(g, Order::kCaffe)),
      mean(Values<double>{2}), deviation(Values<double>{3});
  const Device<float> x(Values<float>{1, 2, 3, 4, 5, 8}),
      dy(Values<float>{1, 2, 3, 4, 5, 6});
  p3d::cuda::Moments(nullptr, 1, 1, mean.get(), deviation.get(), mean.get(),
                     deviation.get());
  Expect(mean.values()[0] == 2 && deviation.values()[0] == 2,
         "test_cuda_bn: Moments in place");
  p3d::cuda::Normalize<float>(nullptr, g, Order::kCaffe, mean.get(),
                              deviation.get(), nullptr, nullptr, x.get(),
                              scratch.get(), x.get());
  Expect(x.values() == Values<float>{-0.5, 0, 0.5, 1, 1.5, 3},
         "test_cuda_bn: Normalize in place, without slope and bias");
  const Device<float> dslope(Values<float>{10}), dbias(Values<float>{100});
  p3d::cuda::NormalizeBackward<float>(
      nullptr, g, Order::kCaffe, mean.get(), deviation.get(), nullptr, x.get(),
      dy.get(), scratch.get(), dslope.get(), dbias.get(), nullptr);
  Expect(dbias.values()[0] == 121, "test_cuda_bn: dbias is added to");
  Expect(dslope.values()[0] == 10 + (-2.5 - 4 - 4.5 - 4 - 2.5 + 6) / 2,
         "test_cuda_bn: dslope is added to");
  const Device<float> running(Values<float>{8});
  p3d::cuda::UpdateRunning(nullptr, 1, 0.75, 0.25, mean.get(), running.get());
  Expect(running.values()[0] == 6.5, "test_cuda_bn: UpdateRunning");
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases, {TestType<float>, TestType<double>},
                    {0, 1});
  TestOptions();
  return testing::Finish();
}
