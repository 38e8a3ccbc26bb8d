// Statistics and normalisation of channels against two passes in long double,
// gradients against sums in long double and against differences.
//
//   test_bn [--quick]

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/affine.hpp"
#include "kernels/bn.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace {

using p3d::Broadcast;
using p3d::Geometry;
using p3d::Order;
using testing::Expect;

struct Case {
  Geometry geometry;
  double mean;  // of all values
};

const Case kCases[] = {
    {{1, 1, 1}, 0},       {{1, 3, 1}, 5},       {{7, 1, 3}, 1},
    {{6, 5, 1}, 0},       {{3, 4, 7}, -2},      {{2, 17, 60}, 0},
    {{2, 3, 2000}, 1e4},  {{3, 300, 200}, 1e3}, {{1, 64, 6400}, 0},
    {{2, 2, 40000}, 1e6},
};

std::string Name(const Case& test, Order order) {
  const Geometry& g = test.geometry;
  return "num " + std::to_string(g.num) + " channels " +
         std::to_string(g.channels) + " pixels " + std::to_string(g.pixels) +
         " mean " + std::to_string(test.mean) +
         (order == Order::kCaffe ? " in Caffe's order" : " channels last");
}

int64_t Offset(const Geometry& g, Order order, int64_t n, int64_t c,
               int64_t p) {
  return order == Order::kCaffe ? (n * g.channels + c) * g.pixels + p
                                : (n * g.pixels + p) * g.channels + c;
}

// Mean and variance of one channel in two passes.
template <typename Dtype>
void TwoPasses(const Geometry& g, Order order, int64_t c,
               const std::vector<Dtype>& x, long double* mean,
               long double* variance) {
  const long double m = g.num * g.pixels;
  *mean = *variance = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t n = 0; n < g.num; ++n) {
      for (int64_t p = 0; p < g.pixels; ++p) {
        const long double v = x[Offset(g, order, n, c, p)];
        if (pass == 0) *mean += v / m;
        if (pass == 1) *variance += (v - *mean) * (v - *mean) / m;
      }
    }
  }
}

template <typename Dtype>
void TestCase(const Case& test, Order order) {
  const Geometry& g = test.geometry;
  std::vector<Dtype> x(g.count());
  p3d::FillGaussian(11, test.mean, 1, g.count(), x.data());
  std::vector<double> mean(g.channels), variance(g.channels);
  p3d::ChannelStatistics(g, order, x.data(), mean.data(), variance.data());

  std::vector<double> mean3(g.channels), variance3(g.channels);
  p3d::SetNumThreads(3);
  p3d::ChannelStatistics(g, order, x.data(), mean3.data(), variance3.data());
  p3d::SetNumThreads(1);
  const std::string name = Name(test, order);
  Expect(mean == mean3 && variance == variance3,
         name + ": threads change the statistics");

  std::vector<double> deviation(g.channels);
  for (int64_t c = 0; c < g.channels; ++c) {
    deviation[c] = std::sqrt(variance[c] + 1e-5);
  }
  std::vector<Dtype> slope(g.channels), bias(g.channels), y(g.count());
  p3d::FillUniform(12, 0.5, 2, g.channels, slope.data());
  p3d::FillUniform(13, -1, 1, g.channels, bias.data());
  p3d::Normalize(g, order, mean.data(), deviation.data(), slope.data(),
                 bias.data(), x.data(), y.data());

  for (int64_t c = 0; c < g.channels; ++c) {
    long double right_mean, right_variance;
    TwoPasses(g, order, c, x, &right_mean, &right_variance);
    const std::string spot = name + " channel " + std::to_string(c);
    Expect(std::fabs(static_cast<double>(mean[c] - right_mean)) <=
               1e-12 * (1 + std::fabs(test.mean)),
           spot + ": mean");
    Expect(std::fabs(static_cast<double>(variance[c] - right_variance)) <=
               1e-10 * static_cast<double>(1 + right_variance),
           spot + ": variance");
    double worst = 0;
    for (int64_t n = 0; n < g.num; ++n) {
      for (int64_t p = 0; p < g.pixels; ++p) {
        const int64_t at = Offset(g, order, n, c, p);
        const long double right = (x[at] - right_mean) /
                                      std::sqrt(right_variance + 1e-5L) *
                                      slope[c] +
                                  bias[c];
        worst = std::max(worst, std::fabs(static_cast<double>(y[at] - right)));
      }
    }
    Expect(worst < 4e-6,
           spot + ": normalised values are off by " + std::to_string(worst));
  }
}

// One call of NormalizeBackward and what it gave.
template <typename Dtype>
struct Backward {
  Backward(const Geometry& g, Order order, const std::vector<double>& mean,
           const std::vector<double>& deviation,
           const std::vector<Dtype>& slope, const std::vector<Dtype>& x,
           const std::vector<Dtype>& dy)
      : dslope(g.channels, 3), dbias(g.channels, 5), dx(g.count()) {
    p3d::NormalizeBackward(g, order, mean.data(), deviation.data(),
                           slope.data(), x.data(), dy.data(), dslope.data(),
                           dbias.data(), dx.data());
  }
  std::vector<Dtype> dslope, dbias, dx;
};

// The formula of the header in long double for one channel; `batch` says
// whether mean and deviation are those of x. Tolerances are of the largest
// values that are summed up.
template <typename Dtype>
void CheckGradients(const std::string& spot, const Geometry& g, Order order,
                    int64_t c, double mean, double deviation, Dtype slope,
                    const std::vector<Dtype>& x, const std::vector<Dtype>& dy,
                    const Backward<Dtype>& got) {
  const double digits = sizeof(Dtype) == 4 ? 4e-6 : 1e-11;
  const long double m = g.num * g.pixels;
  long double sum = 0, moment = 0, size = 1;
  for (int64_t n = 0; n < g.num; ++n) {
    for (int64_t p = 0; p < g.pixels; ++p) {
      const int64_t at = Offset(g, order, n, c, p);
      const long double t =
          (static_cast<long double>(x[at]) - mean) / deviation;
      sum += dy[at];
      moment += dy[at] * t;
      size += std::fabs(dy[at] * t) + std::fabs(dy[at]);
    }
  }
  const auto near = [=](long double a, long double b, long double scale) {
    return std::fabs(static_cast<double>(a - b)) <=
           digits * static_cast<double>(scale);
  };
  Expect(near(got.dslope[c] - 3, moment, size), spot + ": dslope");
  Expect(near(got.dbias[c] - 5, sum, size), spot + ": dbias");
  bool right = true;
  for (int64_t n = 0; n < g.num; ++n) {
    for (int64_t p = 0; p < g.pixels; ++p) {
      const int64_t at = Offset(g, order, n, c, p);
      const long double t =
          (static_cast<long double>(x[at]) - mean) / deviation;
      const long double dx =
          slope / deviation * (dy[at] - sum / m - t * moment / m);
      right = right && near(got.dx[at], dx, 8 * slope / deviation);
    }
  }
  Expect(right, spot + ": dx");
}

template <typename Dtype>
void TestBackward(const Case& test, Order order, bool batch) {
  const Geometry& g = test.geometry;
  std::vector<Dtype> x(g.count()), dy(g.count()), slope(g.channels);
  p3d::FillGaussian(21, test.mean, 1, g.count(), x.data());
  p3d::FillGaussian(22, 0.5, 1, g.count(), dy.data());
  p3d::FillUniform(23, 0.5, 2, g.channels, slope.data());
  std::vector<double> mean(g.channels, test.mean + 0.25),
      deviation(g.channels, 1.5);
  if (batch) {
    p3d::ChannelStatistics(g, order, x.data(), mean.data(), deviation.data());
    for (double& d : deviation) d = std::sqrt(d + 1e-2);
  }
  const Backward<Dtype> got(g, order, mean, deviation, slope, x, dy);
  p3d::SetNumThreads(3);
  const Backward<Dtype> threads(g, order, mean, deviation, slope, x, dy);
  p3d::SetNumThreads(1);
  const std::string name =
      Name(test, order) + (batch ? " backward" : " backward, other statistics");
  Expect(got.dx == threads.dx && got.dslope == threads.dslope &&
             got.dbias == threads.dbias,
         name + ": threads change gradients");
  for (int64_t c = 0; c < g.channels; ++c) {
    CheckGradients(name + " channel " + std::to_string(c), g, order, c, mean[c],
                   deviation[c], slope[c], x, dy, got);
  }
  // In place, and nothing but dx.
  std::vector<Dtype> d(dy);
  p3d::NormalizeBackward<Dtype>(g, order, mean.data(), deviation.data(),
                                slope.data(), x.data(), d.data(), nullptr,
                                nullptr, d.data());
  Expect(d == got.dx, name + ": in place");
  p3d::NormalizeBackwardFrozen(g, order, deviation.data(), slope.data(),
                               dy.data(), d.data());
  bool right = true;
  for (int64_t i = 0; i < g.count(); ++i) {
    const int64_t c =
        order == Order::kCaffe ? i / g.pixels % g.channels : i % g.channels;
    right = right && std::fabs(d[i] - dy[i] * slope[c] / deviation[c]) <
                         1e-6 * std::fabs(dy[i]) * slope[c] / deviation[c];
  }
  Expect(right, name + ": frozen");
}

// sum of weight * y, which depends on x, slope and bias.
double Loss(const Geometry& g, Order order, const std::vector<double>& slope,
            const std::vector<double>& bias, const std::vector<double>& x,
            const std::vector<double>& weight) {
  std::vector<double> mean(g.channels), deviation(g.channels), y(g.count());
  p3d::ChannelStatistics(g, order, x.data(), mean.data(), deviation.data());
  for (double& d : deviation) d = std::sqrt(d + 1e-3);
  p3d::Normalize(g, order, mean.data(), deviation.data(), slope.data(),
                 bias.data(), x.data(), y.data());
  double loss = 0;
  for (int64_t i = 0; i < g.count(); ++i) loss += weight[i] * y[i];
  return loss;
}

// Every gradient against the difference of two forward passes.
void TestDifferences(const Case& test, Order order) {
  const Geometry& g = test.geometry;
  std::vector<double> x(g.count()), weight(g.count()), slope(g.channels),
      bias(g.channels), mean(g.channels), deviation(g.channels);
  p3d::FillGaussian(31, test.mean, 1, g.count(), x.data());
  p3d::FillGaussian(32, 0, 1, g.count(), weight.data());
  p3d::FillUniform(33, 0.5, 2, g.channels, slope.data());
  p3d::FillUniform(34, -1, 1, g.channels, bias.data());
  p3d::ChannelStatistics(g, order, x.data(), mean.data(), deviation.data());
  for (double& d : deviation) d = std::sqrt(d + 1e-3);
  const Backward<double> got(g, order, mean, deviation, slope, x, weight);
  const double step = 1e-5;
  const auto check = [&](std::vector<double>* values, int64_t i,
                         double gradient, const char* what) {
    const double value = (*values)[i];
    (*values)[i] = value + step;
    const double above = Loss(g, order, slope, bias, x, weight);
    (*values)[i] = value - step;
    const double below = Loss(g, order, slope, bias, x, weight);
    (*values)[i] = value;
    const double difference = (above - below) / (2 * step);
    Expect(std::fabs(difference - gradient) < 1e-5 * (1 + std::fabs(gradient)),
           Name(test, order) + ": d" + what + "[" + std::to_string(i) +
               "] is " + std::to_string(gradient) + ", the difference " +
               std::to_string(difference));
  };
  for (int64_t i = 0; i < g.count(); ++i) check(&x, i, got.dx[i], "x");
  for (int64_t c = 0; c < g.channels; ++c) {
    check(&slope, c, got.dslope[c] - 3, "slope");
    check(&bias, c, got.dbias[c] - 5, "bias");
  }
}

void TestRunning() {
  const double batch[] = {2, -4};
  float running[] = {1, 10};
  p3d::UpdateRunning(2, 0.75, 0.25, batch, running);
  Expect(running[0] == 1.25f && running[1] == 6.5f, "UpdateRunning");
}

// Null pointers stand for 0, 1, 0, in both layouts, and in place.
void TestBroadcast() {
  const Broadcast shapes[] = {{3, 4, 1}, {2, 3, 5}, {1, 1, 9}, {9, 1, 1}};
  for (const Broadcast& shape : shapes) {
    for (int used = 0; used < 8; ++used) {
      std::vector<double> center(shape.dim), scale(shape.dim), shift(shape.dim),
          x(shape.count()), y;
      for (int64_t d = 0; d < shape.dim; ++d) {
        center[d] = d + 1;
        scale[d] = 2 * d - 1;
        shift[d] = 10 * d;
      }
      for (int64_t i = 0; i < shape.count(); ++i) x[i] = i * i % 7;
      y = x;
      p3d::ScaleShift(shape, used & 1 ? center.data() : nullptr,
                      used & 2 ? scale.data() : nullptr,
                      used & 4 ? shift.data() : nullptr, y.data(), y.data());
      for (int64_t i = 0; i < shape.count(); ++i) {
        const int64_t d = i / shape.inner % shape.dim;
        const double right =
            (x[i] - (used & 1 ? center[d] : 0)) * (used & 2 ? scale[d] : 1) +
            (used & 4 ? shift[d] : 0);
        Expect(y[i] == right, "ScaleShift " + std::to_string(shape.outer) +
                                  " x " + std::to_string(shape.dim) + " x " +
                                  std::to_string(shape.inner) + ", pointers " +
                                  std::to_string(used) + ", value " +
                                  std::to_string(i));
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  p3d::SetNumThreads(1);
  const bool quick = testing::HasFlag(argc, argv, "--quick");
  for (const Case& test : kCases) {
    if (quick && test.geometry.count() > 20000) continue;
    for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
      TestCase<float>(test, order);
      TestCase<double>(test, order);
      for (bool batch : {true, false}) {
        TestBackward<float>(test, order, batch);
        TestBackward<double>(test, order, batch);
      }
      if (test.geometry.count() <= 100) TestDifferences(test, order);
    }
  }
  TestRunning();
  TestBroadcast();
  return testing::Finish();
}
