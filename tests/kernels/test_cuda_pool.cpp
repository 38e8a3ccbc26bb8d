// The pooling of pool.cu against that of pool.cpp, and its gradients against
// scattering; see device.hpp for what this tests where.
//
//   test_cuda_pool ["case"]
//
// Cases are written as in pool_cases.hpp.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/pool.hpp"
#include "kernels/pool_cuda.hpp"
#include "kernels/random.hpp"
#include "pool_cases.hpp"
#include "testing.hpp"

namespace {

using p3d::Order;
using p3d::PoolAxis;
using p3d::PoolRounding;
using p3d::PoolShape;
using testing::Device;
using testing::Expect;

const char* const kCases[] = {
    "1 1 ceil 1,1,1,0",
    "2 3 ceil 7,2,2,0",
    "1 5 floor 6,3,2,1",
    "2 16 ceil 7,3,2,0 8,2,3,0",
    "2 17 ceil 5,1,3,0 5,2,1,0",         // windows outside the input
    "1 2 ceil 6,1,7,0 6,1,7,0 8,2,9,0",  // and nothing but those
    "1 6 ceil 4,2,2,0 9,3,2,0 10,3,2,0",
    "1 7 floor 4,2,2,0 9,3,2,0 10,3,2,0",
    "3 2 ceil 3,4,2,0 5,6,2,0 5,6,2,0",  // kernels larger than the input
    "1 7 ceil 3,2,2,1 6,2,2,0 6,2,2,0",  // clipped, as one axis is padded
    "1 3 ceil 9,4,2,2 5,5,3,2 4,5,3,2",  // longer than high
    "1 3 ceil 3,4,1,3 5,5,1,4 4,3,1,2",  // windows that are all padding
    "2 33 ceil 2,2,1,0 5,5,1,0 5,5,1,0",
    "2 24 ceil 3,2,2,1 6,3,2,0 5,2,2,0",
    "5 64 floor 4,2,2,0 7,3,2,0 6,3,2,0",  // several images for a thread
    "3 8 ceil 5,1,3,0 5,2,1,0",
};

PoolShape Parse(const std::string& text) {
  PoolRounding rounding;
  PoolShape shape = testing::Parse(text, &rounding);
  p3d::SetPoolOutputs(rounding, &shape);
  return shape;
}

// Few different values, so that there are ties; some zeros.
template <typename Dtype>
std::vector<Dtype> Values(int64_t count, uint64_t seed) {
  p3d::Random random(seed);
  std::vector<Dtype> values(count);
  for (Dtype& value : values) {
    value = static_cast<Dtype>(random.Next() % 9 / 8.0);
  }
  return values;
}

template <typename Dtype>
void ExpectNear(const std::vector<Dtype>& got, const std::vector<Dtype>& want,
                const std::string& message) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (!Expect(error <= 1e-6 * (1 + std::fabs(want[i])),
                message + " at " + std::to_string(i) + ": " +
                    std::to_string(got[i]) + " instead of " +
                    std::to_string(want[i]))) {
      return;
    }
  }
}

// Where the image and channel of output value o begin in x or y, and the
// output's pixel.
struct Spot {
  Spot(const PoolShape& shape, Order order, int64_t o) {
    const bool caffe = order == Order::kCaffe;
    const int64_t out = shape.out_pixels();
    step = caffe ? 1 : shape.channels;
    pixel = o / step % out;
    const int64_t image = o / step / out;
    const int64_t c = caffe ? 0 : o % shape.channels;
    start = image * shape.in_pixels() * step + c;
  }
  int64_t step, pixel, start;
};

template <typename Dtype>
std::vector<Dtype> ScatterMask(const PoolShape& shape, Order order,
                               const std::vector<Dtype>& mask,
                               const std::vector<Dtype>& dy) {
  std::vector<Dtype> dx(shape.num * shape.channels * shape.in_pixels());
  for (size_t o = 0; o < dy.size(); ++o) {
    if (mask[o] < 0) continue;
    const Spot spot(shape, order, static_cast<int64_t>(o));
    dx[spot.start + static_cast<int64_t>(mask[o]) * spot.step] += dy[o];
  }
  return dx;
}

// Shares each dy out over the taps of its window, counting through all of them.
template <typename Dtype>
std::vector<Dtype> ScatterAverage(const PoolShape& shape, Order order,
                                  const std::vector<Dtype>& dy) {
  std::vector<Dtype> dx(shape.num * shape.channels * shape.in_pixels());
  int64_t taps = 1;
  for (const PoolAxis& axis : shape.axes) taps *= axis.kernel;
  for (size_t o = 0; o < dy.size(); ++o) {
    const Spot spot(shape, order, static_cast<int64_t>(o));
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t below = shape.out_pixels(), rest = taps, pixel = 0;
      double size = 1;
      bool inside = true;
      for (const PoolAxis& axis : shape.axes) {
        below /= axis.out;
        rest /= axis.kernel;
        const int64_t first =
            spot.pixel / below % axis.out * axis.stride - axis.pad;
        const int64_t at = first + tap / rest % axis.kernel;
        size *= static_cast<double>(
            std::min(first + axis.kernel, axis.in + axis.pad) - first);
        inside = inside && at >= 0 && at < axis.in;
        pixel = pixel * axis.in + at;
      }
      if (inside) {
        dx[spot.start + pixel * spot.step] += static_cast<Dtype>(dy[o] / size);
      }
    }
  }
  return dx;
}

template <typename Dtype>
void TestForward(const std::string& where, const PoolShape& shape, Order order,
                 const std::vector<Dtype>& x, std::vector<Dtype>* mask) {
  const int64_t count = shape.num * shape.channels * shape.out_pixels();
  std::vector<Dtype> y(count);
  mask->resize(count);
  const Device<Dtype> device_x(x);
  const Device<Dtype> device_y(count), device_mask(count);

  p3d::MaxPool(shape, order, x.data(), y.data(), mask->data());
  p3d::cuda::MaxPool(nullptr, shape, order, device_x.get(), device_y.get(),
                     device_mask.get());
  Expect(device_y.values() == y, where + ": MAX");
  Expect(device_mask.values() == *mask, where + ": MAX mask");

  p3d::AveragePool(shape, order, x.data(), y.data());
  p3d::cuda::AveragePool(nullptr, shape, order, device_x.get(), device_y.get());
  ExpectNear(device_y.values(), y, where + ": AVE");

  p3d::StochasticPoolMean(shape, order, x.data(), y.data());
  p3d::cuda::StochasticPoolMean(nullptr, shape, order, device_x.get(),
                                device_y.get());
  ExpectNear(device_y.values(), y, where + ": expectation");

  p3d::StochasticPool(shape, order, 1701, x.data(), y.data(), mask->data());
  p3d::cuda::StochasticPool(nullptr, shape, order, 1701, device_x.get(),
                            device_y.get(), device_mask.get());
  Expect(device_y.values() == y, where + ": drawn values");
  Expect(device_mask.values() == *mask, where + ": drawn places");
}

template <typename Dtype>
void TestBackward(const std::string& where, const PoolShape& shape, Order order,
                  const std::vector<Dtype>& mask) {
  const std::vector<Dtype> dy = Values<Dtype>(mask.size(), 11);
  const Device<Dtype> device_dy(dy), device_mask(mask);
  const Device<Dtype> dx(shape.num * shape.channels * shape.in_pixels());

  p3d::cuda::MaskedPoolBackward(nullptr, shape, order, device_mask.get(),
                                device_dy.get(), dx.get());
  ExpectNear(dx.values(), ScatterMask(shape, order, mask, dy),
             where + ": gradient of MAX and STOCHASTIC");

  p3d::cuda::AveragePoolBackward(nullptr, shape, order, device_dy.get(),
                                 dx.get());
  ExpectNear(dx.values(), ScatterAverage(shape, order, dy),
             where + ": gradient of AVE");
}

// Of the same values, the kernels for values of 16 bits give what those for
// float give, rounded.
template <typename Value>
void TestNarrow(const std::string& where, const PoolShape& shape, Order order) {
  const int64_t ins = shape.num * shape.channels * shape.in_pixels(),
                outs = shape.num * shape.channels * shape.out_pixels();
  const std::vector<float> x = Values<float>(ins, 5),
                           dy = Values<float>(outs, 11);
  const Device<Value> narrow_x(std::vector<Value>(x.begin(), x.end())),
      narrow_dy(std::vector<Value>(dy.begin(), dy.end())), y(outs), dx(ins);
  const Device<float> float_x(x), float_dy(dy), want_y(outs), want_dx(ins),
      mask(outs), want_mask(outs);
  const auto expect = [&](const Device<Value>& got, const Device<float>& want,
                          const std::string& what) {
    const std::vector<Value> values = got.values();
    const std::vector<float> exact = want.values();
    int64_t wrong = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      if (exact[i] == -FLT_MAX) continue;  // see TestMaxOfNothing
      wrong += values[i].bits != Value(exact[i]).bits;
    }
    Expect(wrong == 0, where + what + ": " + std::to_string(wrong) + " values");
  };
  namespace gpu = p3d::cuda;
  gpu::MaxPool(nullptr, shape, order, narrow_x.get(), y.get(), mask.get());
  gpu::MaxPool(nullptr, shape, order, float_x.get(), want_y.get(),
               want_mask.get());
  expect(y, want_y, "MAX");
  Expect(mask.values() == want_mask.values(), where + "MAX mask");
  gpu::MaskedPoolBackward(nullptr, shape, order, mask.get(), narrow_dy.get(),
                          dx.get());
  gpu::MaskedPoolBackward(nullptr, shape, order, mask.get(), float_dy.get(),
                          want_dx.get());
  expect(dx, want_dx, "gradient of MAX");
  gpu::AveragePool(nullptr, shape, order, narrow_x.get(), y.get());
  gpu::AveragePool(nullptr, shape, order, float_x.get(), want_y.get());
  expect(y, want_y, "AVE");
  gpu::AveragePoolBackward(nullptr, shape, order, narrow_dy.get(), dx.get());
  gpu::AveragePoolBackward(nullptr, shape, order, float_dy.get(),
                           want_dx.get());
  expect(dx, want_dx, "gradient of AVE");
}

std::string Where(const std::string& text, Order order) {
  return "test_cuda_pool \"" + text + "\", from value " +
         std::to_string(testing::FirstValue()) + " on" +
         (order == Order::kCaffe ? ", in Caffe's order" : ", channels last");
}

template <typename Dtype>
void TestOrder(const std::string& text, Order order) {
  const PoolShape shape = Parse(text);
  const std::string where =
      Where(text, order) + (sizeof(Dtype) == 4 ? ", float" : ", double");
  const std::vector<Dtype> x =
      Values<Dtype>(shape.num * shape.channels * shape.in_pixels(), 5);
  std::vector<Dtype> mask;
  TestForward(where, shape, order, x, &mask);
  TestBackward(where, shape, order, mask);
}

template <typename Dtype>
void TestType(const std::string& text) {
  for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
    TestOrder<Dtype>(text, order);
  }
}

void TestNarrowTypes(const std::string& text) {
  for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
    const std::string where = Where(text, order);
    TestNarrow<p3d::Bf16>(where + ", bf16: ", Parse(text), order);
    TestNarrow<p3d::Fp16>(where + ", fp16: ", Parse(text), order);
  }
}

// The maximum of nothing is the least number, also where infinity is near: of
// a window outside the input, and of one that holds nothing larger.
template <typename Value>
void TestMaxOfNothing(float least) {
  const PoolShape shape = Parse("1 1 ceil 4,1,3,0 1,1,1,0 1,1,1,0");
  const Device<Value> x(
      std::vector<Value>(4, Value(-std::numeric_limits<float>::infinity()))),
      y(2);
  const Device<float> mask(2);
  p3d::cuda::MaxPool(nullptr, shape, Order::kCaffe, x.get(), y.get(),
                     mask.get());
  for (float value : y.values()) {
    Expect(value == least, "test_cuda_pool: the maximum of nothing is " +
                               std::to_string(value));
  }
  Expect(mask.values() == std::vector<float>(2, -1.f),
         "test_cuda_pool: the place of nothing");
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestNarrowTypes},
                    {0, 1});
  TestMaxOfNothing<float>(-FLT_MAX);
  TestMaxOfNothing<p3d::Bf16>(-255 * std::ldexp(1.f, 120));
  TestMaxOfNothing<p3d::Fp16>(-65504);
  PoolShape shape = Parse("1 1 ceil 2,1,1,0 2,1,1,0 2,1,1,0 2,1,1,0");
  testing::ExpectError(
      [&] {
        p3d::cuda::MaxPool<float>(nullptr, shape, Order::kCaffe, nullptr,
                                  nullptr, nullptr);
      },
      "up to 3 spatial axes, not 4", "four axes");
  shape = Parse("1 1 ceil 2,1,3000000000,0");
  testing::ExpectError(
      [&] {
        p3d::cuda::MaxPool<float>(nullptr, shape, Order::kCaffe, nullptr,
                                  nullptr, nullptr);
      },
      "up to 2147483647 pixels, not 3000000000", "a large stride");
  return testing::Finish();
}
