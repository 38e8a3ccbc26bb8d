// Pooling against plain loops over every window, gradients also against
// differences.
//
//   test_pool ["case"]
//
// Cases are written as in pool_cases.hpp.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/pool.hpp"
#include "kernels/pool_bf16.hpp"
#include "kernels/random.hpp"
#include "pool_cases.hpp"
#include "testing.hpp"

namespace {

using p3d::Order;
using p3d::PoolAxis;
using p3d::PoolRounding;
using p3d::PoolShape;
using testing::Expect;
using testing::ExpectError;
using testing::Parse;

const char* const kCases[] = {
    "1 1 ceil 1,1,1,0",
    "2 3 ceil 7,2,2,0",
    "1 5 ceil 6,3,2,1",
    "1 5 floor 6,3,2,1",
    "2 16 ceil 7,3,2,0 8,2,3,0",
    "2 17 ceil 5,1,3,0 5,2,1,0",  // windows outside the input
    "1 64 ceil 4,2,2,0 9,3,2,0 10,3,2,0",
    "1 65 floor 4,2,2,0 9,3,2,0 10,3,2,0",
    "3 2 ceil 3,4,2,0 5,6,2,0 5,6,2,0",  // kernels larger than the input
    "1 7 ceil 3,2,2,1 6,2,2,0 6,2,2,0",  // clipped, as one axis is padded
    "1 3 ceil 6,4,2,2 11,5,3,2 10,5,3,2",
    "2 200 ceil 2,2,1,0 5,5,1,0 5,5,1,0",  // global: threads share channels
    "1 3 ceil 3,2,1,1 2,1,1,0 4,3,2,2 3,2,2,0",
};

// Axes of which no pad, kernel or stride is possible.
const char* const kRejected[] = {
    "1 1 ceil 0,1,1,0",         "1 1 ceil 5,0,1,0", "1 1 ceil 5,1,0,0",
    "1 1 ceil 5,2,1,2",         "1 1 ceil 5,9,1,0", "1 1 ceil 5,4294967295,7,0",
    "1 1 ceil 5,2,1,1 5,1,1,1",
};

// The formula of the header for one axis, in floating point.
int64_t Outputs(const PoolAxis& axis, PoolRounding rounding, bool padded) {
  const double slack = static_cast<double>(axis.in + 2 * axis.pad) -
                       static_cast<double>(axis.kernel);
  const double steps = slack / static_cast<double>(axis.stride);
  int64_t out = 1 + static_cast<int64_t>(rounding == PoolRounding::kCeil
                                             ? std::ceil(steps)
                                             : std::floor(steps));
  if (padded && (out - 1) * axis.stride >= axis.in + axis.pad) --out;
  return out;
}

// What the values of one window amount to.
struct Naive {
  double max = -FLT_MAX;
  double place = -1;
  double sum = 0;
  double squares = 0;
  double size = 1;
  bool empty = true;
  std::vector<int64_t> pixels;
};

// Walks over all taps of the window of output pixel `out` by counting.
Naive Walk(const PoolShape& shape, const std::vector<double>& plane,
           int64_t out) {
  Naive naive;
  int64_t taps = 1;
  std::vector<int64_t> start;
  int64_t below = shape.out_pixels();
  for (const PoolAxis& axis : shape.axes) {
    below /= axis.out;
    const int64_t first = out / below % axis.out * axis.stride - axis.pad;
    start.push_back(first);
    taps *= axis.kernel;
    naive.size *= static_cast<double>(
        std::min(first + axis.kernel, axis.in + axis.pad) - first);
  }
  for (int64_t tap = 0; tap < taps; ++tap) {
    int64_t rest = taps, pixel = 0;
    bool inside = true;
    for (size_t i = 0; i < shape.axes.size(); ++i) {
      const PoolAxis& axis = shape.axes[i];
      rest /= axis.kernel;
      const int64_t at = start[i] + tap / rest % axis.kernel;
      inside = inside && at >= 0 && at < axis.in;
      pixel = pixel * axis.in + at;
    }
    if (!inside) continue;
    const double value = plane[pixel];
    naive.empty = false;
    naive.pixels.push_back(pixel);
    naive.sum += value;
    naive.squares += value * value;
    if (value > naive.max) {
      naive.max = value;
      naive.place = static_cast<double>(pixel);
    }
  }
  return naive;
}

// Offsets of (n, c, pixel) in either order.
int64_t Offset(Order order, const PoolShape& shape, int64_t pixels, int64_t n,
               int64_t c, int64_t p) {
  return order == Order::kCaffe ? (n * shape.channels + c) * pixels + p
                                : (n * pixels + p) * shape.channels + c;
}

template <typename Dtype>
struct Results {
  explicit Results(int64_t count)
      : max(count, 7),
        mask(count, 7),
        average(count, 7),
        mean(count, 7),
        drawn(count, 7),
        drawn_mask(count, 7) {}
  std::vector<Dtype> max, mask, average, mean, drawn, drawn_mask;
};

template <typename Dtype>
Results<Dtype> RunAll(const PoolShape& shape, Order order,
                      const std::vector<Dtype>& x) {
  Results<Dtype> r(shape.num * shape.channels * shape.out_pixels());
  std::vector<Dtype> unmasked(r.max);
  p3d::MaxPool(shape, order, x.data(), r.max.data(), r.mask.data());
  p3d::MaxPool<Dtype>(shape, order, x.data(), unmasked.data(), nullptr);
  Expect(unmasked == r.max, "MaxPool with and without a mask differ");
  p3d::AveragePool(shape, order, x.data(), r.average.data());
  p3d::StochasticPoolMean(shape, order, x.data(), r.mean.data());
  p3d::StochasticPool(shape, order, 1701, x.data(), r.drawn.data(),
                      r.drawn_mask.data());
  return r;
}

template <typename Dtype>
void TestOrder(const std::string& text, const PoolShape& shape, Order order) {
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  std::vector<Dtype> x(shape.num * shape.channels * in);
  p3d::Random random(5);
  // Few different values, so that there are ties; some zeros.
  for (Dtype& value : x) value = static_cast<Dtype>(random.Next() % 9 / 8.0);
  const Results<Dtype> r = RunAll(shape, order, x);
  p3d::SetNumThreads(3);
  const Results<Dtype> threads = RunAll(shape, order, x);
  p3d::SetNumThreads(1);
  const std::string where =
      "test_pool \"" + text + "\"" +
      (order == Order::kCaffe ? " in Caffe's order" : " channels last");
  Expect(threads.drawn == r.drawn && threads.average == r.average &&
             threads.max == r.max,
         where + ": threads change results");
  for (int64_t n = 0; n < shape.num; ++n) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      std::vector<double> plane(in);
      for (int64_t p = 0; p < in; ++p) {
        plane[p] = x[Offset(order, shape, in, n, c, p)];
      }
      for (int64_t p = 0; p < out; ++p) {
        const Naive naive = Walk(shape, plane, p);
        const int64_t at = Offset(order, shape, out, n, c, p);
        const std::string spot = where + " at n " + std::to_string(n) + " c " +
                                 std::to_string(c) + " pixel " +
                                 std::to_string(p);
        Expect(r.max[at] == static_cast<Dtype>(naive.max), spot + ": MAX");
        Expect(r.mask[at] == naive.place, spot + ": mask");
        const double average = naive.empty ? 0 : naive.sum / naive.size;
        Expect(std::fabs(r.average[at] - average) < 1e-6, spot + ": AVE");
        const double mean = naive.sum > 0 ? naive.squares / naive.sum : 0;
        Expect(std::fabs(r.mean[at] - mean) < 1e-6, spot + ": expectation");
        const double place = r.drawn_mask[at];
        Expect(naive.empty ? place == -1 && r.drawn[at] == 0
                           : r.drawn[at] == plane[static_cast<int64_t>(place)],
               spot + ": drawn value");
      }
    }
  }
}

// Maxima of bfloat16 against those of the same values as floats. Beside few
// different values there are all that are not finite, both zeros and the
// smallest.
void TestBf16(const std::string& text, const PoolShape& shape) {
  const uint16_t special[] = {0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x7f81, 0xffff,
                              0x7f7f, 0xff7f, 0x0000, 0x8000, 0x0001, 0x8001};
  const int64_t pixels = shape.num * shape.channels;
  std::vector<p3d::Bf16> x(pixels * shape.in_pixels());
  p3d::Random random(5);
  for (p3d::Bf16& value : x) {
    value = random.Next() % 33 / 8.0f - 2;
    if (random.Next() % 3 == 0) value.bits = special[random.Next() % 12];
  }
  const std::vector<float> wide(x.begin(), x.end());
  const int64_t outputs = pixels * shape.out_pixels();
  std::vector<float> expected(outputs);
  p3d::MaxPool<float>(shape, Order::kChannelsLast, wide.data(), expected.data(),
                      nullptr);
  const p3d::Isa active = p3d::ActiveIsa();
  for (p3d::Isa isa : p3d::SupportedIsas()) {
    p3d::SetActiveIsa(isa);
    std::vector<p3d::Bf16> y(outputs);
    p3d::MaxPoolBf16(shape, x.data(), y.data());
    for (int64_t i = 0; i < outputs; ++i) {
      // Where there is no value, the lowest that is finite.
      const float most = std::max(expected[i], -0x1.fep127f);
      const bool same = y[i] == most;
      Expect(same, "test_pool \"" + text +
                       "\" bfloat16, P3D_ISA=" + p3d::IsaName(isa) + ": y[" +
                       std::to_string(i) + "] is " + std::to_string(y[i]) +
                       " instead of " + std::to_string(most));
    }
  }
  p3d::SetActiveIsa(active);
}

// The gradients by mask and of AVE of one image's channel.
template <typename Dtype>
void NaiveGradients(const PoolShape& shape, Order order, int64_t n, int64_t c,
                    const std::vector<Dtype>& mask,
                    const std::vector<Dtype>& dy, std::vector<Dtype>* masked,
                    std::vector<Dtype>* average) {
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  const std::vector<double> plane(in);
  for (int64_t p = 0; p < out; ++p) {
    const int64_t at = Offset(order, shape, out, n, c, p);
    if (mask[at] >= 0) {
      const int64_t place = static_cast<int64_t>(mask[at]);
      (*masked)[Offset(order, shape, in, n, c, place)] += dy[at];
    }
    const Naive naive = Walk(shape, plane, p);
    for (int64_t pixel : naive.pixels) {
      (*average)[Offset(order, shape, in, n, c, pixel)] +=
          static_cast<Dtype>(dy[at] / naive.size);
    }
  }
}

// dx of one way of pooling, with sentinels around it.
template <typename Dtype, typename Action>
std::vector<Dtype> Gradient(const PoolShape& shape, const std::string& what,
                            const Action& action) {
  const int64_t count = shape.num * shape.channels * shape.in_pixels();
  constexpr int64_t kGuard = 64;
  std::vector<Dtype> memory(count + 2 * kGuard, Dtype(77));
  action(memory.data() + kGuard);
  const bool intact =
      std::count(memory.begin(), memory.begin() + kGuard, 77) == kGuard &&
      std::count(memory.end() - kGuard, memory.end(), 77) == kGuard;
  Expect(intact, what + ": wrote outside");
  return std::vector<Dtype>(memory.begin() + kGuard, memory.end() - kGuard);
}

template <typename Dtype>
void TestBackward(const std::string& text, const PoolShape& shape,
                  Order order) {
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  const int64_t tops = shape.num * shape.channels * out;
  const std::string where =
      "test_pool \"" + text + "\"" +
      (order == Order::kCaffe ? " in Caffe's order" : " channels last") +
      " backward";
  std::vector<Dtype> x(shape.num * shape.channels * in), y(tops), dy(tops);
  // Eighths, which add up without rounding in any order.
  p3d::Random random(6);
  for (Dtype& value : x) value = static_cast<Dtype>(random.Next() % 9 / 8.0);
  for (Dtype& value : dy) value = static_cast<Dtype>(random.Next() % 17 / 8.0);
  std::vector<Dtype> masks[2] = {std::vector<Dtype>(tops),
                                 std::vector<Dtype>(tops)};
  p3d::MaxPool(shape, order, x.data(), y.data(), masks[0].data());
  p3d::StochasticPool(shape, order, 9, x.data(), y.data(), masks[1].data());
  for (const std::vector<Dtype>& mask : masks) {
    std::vector<Dtype> masked(x.size()), average(x.size());
    for (int64_t n = 0; n < shape.num; ++n) {
      for (int64_t c = 0; c < shape.channels; ++c) {
        NaiveGradients(shape, order, n, c, mask, dy, &masked, &average);
      }
    }
    for (int threads : {1, 3}) {
      p3d::SetNumThreads(threads);
      const std::string what = where + ", threads " + std::to_string(threads);
      const auto by_mask = Gradient<Dtype>(shape, what, [&](Dtype* dx) {
        p3d::MaskedPoolBackward(shape, order, mask.data(), dy.data(), dx);
      });
      Expect(by_mask == masked, what + ": by mask");
      const auto shared = Gradient<Dtype>(shape, what, [&](Dtype* dx) {
        p3d::AveragePoolBackward(shape, order, dy.data(), dx);
      });
      Expect(shared == average, what + ": AVE");
    }
    p3d::SetNumThreads(1);
  }
}

// Every d x against the difference of two forward passes.
void TestDifferences(const std::string& text, const PoolShape& shape,
                     Order order) {
  const int64_t tops = shape.num * shape.channels * shape.out_pixels();
  std::vector<double> x(shape.num * shape.channels * shape.in_pixels());
  std::vector<double> y(tops), mask(tops), weight(tops), dx(x.size());
  p3d::FillGaussian(15, 0, 1, tops, weight.data());
  p3d::FillGaussian(16, 0, 1, static_cast<int64_t>(x.size()), x.data());
  for (const bool max : {true, false}) {
    const auto loss = [&] {
      if (max) {
        p3d::MaxPool(shape, order, x.data(), y.data(), mask.data());
      } else {
        p3d::AveragePool(shape, order, x.data(), y.data());
      }
      double sum = 0;
      for (int64_t i = 0; i < tops; ++i) sum += weight[i] * y[i];
      return sum;
    };
    loss();
    if (max) {
      p3d::MaskedPoolBackward(shape, order, mask.data(), weight.data(),
                              dx.data());
    } else {
      p3d::AveragePoolBackward(shape, order, weight.data(), dx.data());
    }
    // A window without values, -FLT_MAX, would swallow all the others.
    for (int64_t i = 0; i < tops; ++i) {
      if (max && mask[i] < 0) weight[i] = 0;
    }
    for (size_t i = 0; i < x.size(); ++i) {
      const double value = x[i], step = 1e-6;
      x[i] = value + step;
      const double above = loss();
      x[i] = value - step;
      const double below = loss();
      x[i] = value;
      Expect(std::fabs((above - below) / (2 * step) - dx[i]) < 1e-6,
             "test_pool \"" + text + "\": the difference for " +
                 (max ? "MAX" : "AVE") + " at " + std::to_string(i));
    }
  }
}

// Places that no image has, as a caller may have changed them, harm nothing.
void TestForeignMask() {
  PoolShape shape;
  shape.channels = 2;
  shape.axes = {{4, 1, 1, 0, 0}};
  p3d::SetPoolOutputs(PoolRounding::kCeil, &shape);
  const float mask[] = {-1, 4, 1e30f, std::nanf(""), 0, -1e30f, 1, 3};
  const float dy[] = {1, 1, 1, 1, 1, 1, 1, 1};
  const auto dx = Gradient<float>(shape, "foreign mask", [&](float* to) {
    p3d::MaskedPoolBackward(shape, Order::kCaffe, mask, dy, to);
  });
  Expect(dx == std::vector<float>({0, 0, 0, 0, 1, 1, 0, 1}), "foreign mask");
  shape.axes = {{(int64_t{1} << 24) + 1, 1, 1 << 25, 0, 0}};
  p3d::SetPoolOutputs(PoolRounding::kCeil, &shape);
  ExpectError(
      [&] {
        p3d::MaskedPoolBackward<float>(shape, Order::kCaffe, mask, dy, nullptr);
      },
      "cannot count 16777217 pixels", "more pixels than floats");
}

void TestCase(const std::string& text) {
  PoolRounding rounding;
  PoolShape shape = Parse(text, &rounding);
  p3d::SetPoolOutputs(rounding, &shape);
  bool padded = false;
  for (const PoolAxis& axis : shape.axes) padded = padded || axis.pad > 0;
  for (const PoolAxis& axis : shape.axes) {
    Expect(
        axis.out == Outputs(axis, rounding, padded),
        "test_pool \"" + text + "\": " + std::to_string(axis.out) + " outputs");
  }
  for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
    TestOrder<float>(text, shape, order);
    TestOrder<double>(text, shape, order);
    TestBackward<float>(text, shape, order);
    TestBackward<double>(text, shape, order);
    if (shape.num * shape.channels * shape.in_pixels() < 2000) {
      TestDifferences(text, shape, order);
    }
  }
  TestBf16(text, shape);
}

// Of the values 1, 2, 5 each is drawn in proportion.
void TestProportions() {
  PoolShape shape;
  shape.num = 8000;
  shape.axes = {{3, 3, 1, 0, 0}};
  p3d::SetPoolOutputs(PoolRounding::kCeil, &shape);
  std::vector<float> x(3 * shape.num), y(shape.num);
  for (size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 2 ? 5 : 1 + i % 3;
  p3d::StochasticPool<float>(shape, Order::kCaffe, 3, x.data(), y.data(),
                             nullptr);
  for (float value : {1.f, 2.f, 5.f}) {
    const double share =
        static_cast<double>(std::count(y.begin(), y.end(), value)) / 8000;
    Expect(std::fabs(share - value / 8) < 0.02,
           "of 8000 draws " + std::to_string(share) + " are " +
               std::to_string(value) + " instead of one in proportion");
  }
}

// Values that are no numbers lose every comparison, as in Caffe.
void TestNotANumber() {
  PoolShape shape;
  shape.axes = {{4, 2, 2, 0, 0}};
  p3d::SetPoolOutputs(PoolRounding::kCeil, &shape);
  const float nan = std::nanf("");
  const float x[] = {nan, -2, nan, nan};
  float y[2], mask[2];
  p3d::MaxPool(shape, Order::kCaffe, x, y, mask);
  Expect(y[0] == -2 && mask[0] == 1, "MAX of NaN and -2 is -2");
  Expect(y[1] == -FLT_MAX && mask[1] == -1, "MAX of nothing but NaN");
}

}  // namespace

int main(int argc, char** argv) {
  p3d::SetNumThreads(1);
  if (argc > 1 && argv[1][0] != '-') {
    TestCase(argv[1]);
    return testing::Finish();
  }
  for (const char* text : kCases) TestCase(text);
  for (const char* text : kRejected) {
    PoolRounding rounding;
    PoolShape shape = Parse(text, &rounding);
    ExpectError([&] { p3d::SetPoolOutputs(rounding, &shape); }, "",
                std::string("test_pool \"") + text + "\"");
  }
  TestProportions();
  TestNotANumber();
  TestForeignMask();
  return testing::Finish();
}
