// The kernels of order.cu, pixels.cu, affine.cu, copy_rows.cu, pointwise.cu,
// eltwise.cu, epilogue_backward.cu, softmax.cu, random.cu and update.cu against
// those of the .cpp beside each; see device.hpp for what this tests where.
//
//   test_cuda_values ["num channels pixels"]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/affine_cuda.hpp"
#include "kernels/copy_rows_cuda.hpp"
#include "kernels/eltwise.hpp"
#include "kernels/eltwise_cuda.hpp"
#include "kernels/epilogue_backward.hpp"
#include "kernels/epilogue_backward_cuda.hpp"
#include "kernels/order_cuda.hpp"
#include "kernels/pixels_cuda.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/pointwise_cuda.hpp"
#include "kernels/random.hpp"
#include "kernels/random_cuda.hpp"
#include "kernels/softmax.hpp"
#include "kernels/softmax_cuda.hpp"
#include "kernels/update_cuda.hpp"
#include "testing.hpp"

namespace {

using p3d::Geometry;
using p3d::Order;
using testing::Device;
using testing::Expect;

const char* const kCases[] = {"1 1 1",    "3 1 5",     "1 7 1",    "2 3 4",
                              "5 17 9",   "1 5 70",    "2 300 9",  "2 16 24",
                              "1 70 257", "1 1 900",   "3 2 5000", "1 801 1",
                              "1 3200 2", "2 136 200", "2 8 1300"};

template <typename Dtype>
using Values = std::vector<Dtype>;

template <typename Dtype>
Values<Dtype> Gaussian(uint64_t seed, int64_t count) {
  Values<Dtype> values(count);
  p3d::FillGaussian(seed, 0, 1, count, values.data());
  return values;
}

// To a few roundings of the largest magnitude: a GPU rounds a * b + c once, and
// sums in double are added up in another order. NaN is near nothing.
template <typename Dtype>
void ExpectNear(const Values<Dtype>& got, const Values<Dtype>& want,
                const std::string& message) {
  double most = 1e-30, error = 0;
  for (Dtype value : want) most = std::max<double>(most, std::fabs(value));
  for (size_t i = 0; i < want.size(); ++i) {
    const double distance = std::fabs(static_cast<double>(got[i]) - want[i]);
    error = distance <= error ? error : distance;
  }
  const double tolerance = sizeof(Dtype) == 4 ? 2e-6 : 1e-12;
  Expect(error <= tolerance * most, message + " differs by " +
                                        std::to_string(error) + " of " +
                                        std::to_string(most));
}

template <typename Dtype>
void TestOrder(const std::string& where, const Geometry& g) {
  const Values<Dtype> x = Gaussian<Dtype>(1, g.count());
  Values<Dtype> want(x.size());
  const Device<Dtype> from(x), last(x.size()), back(x.size());
  p3d::ToChannelsLast(g, x.data(), want.data());
  p3d::cuda::ToChannelsLast(nullptr, g, from.get(), last.get());
  Expect(last.values() == want, where + "ToChannelsLast");
  p3d::cuda::ToCaffeOrder(nullptr, g, last.get(), back.get());
  Expect(back.values() == x, where + "ToCaffeOrder");
}

// The values of a flipped and of a scaled plane, in one rounding each.
template <typename Value>
void TestPixels(const std::string& where, const Geometry& g, int64_t means) {
  const int64_t planes = g.num * g.channels;
  std::vector<uint8_t> x(g.count());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 37);
  const auto mean = Gaussian<float>(1, planes * means);
  const auto scale = Gaussian<float>(2, planes);
  const Device<uint8_t> d_x(x);
  const Device<float> d_mean(mean), d_scale(scale);
  const Device<Value> y(g.count());
  p3d::cuda::PixelsToChannelsLast(nullptr, g, d_x.get(), means, d_mean.get(),
                                  d_scale.get(), y.get());
  const std::vector<Value> got = y.values();
  bool equal = true;
  for (int64_t i = 0; i < g.count(); ++i) {
    const int64_t plane = i / g.pixels, p = i % g.pixels;
    const float center = mean[plane * means + p % means], factor = scale[plane];
    const float value =
        factor < 0 ? (center - x[i]) * -factor : (x[i] - center) * factor;
    const int64_t n = plane / g.channels, c = plane % g.channels;
    const Value expected = value;
    const Value& found = got[(n * g.pixels + p) * g.channels + c];
    equal &= !std::memcmp(&found, &expected, sizeof expected);
  }
  Expect(equal, where + "PixelsToChannelsLast, means " + std::to_string(means));
}

template <typename Dtype>
void TestAffine(const std::string& where, const Geometry& g, Order order) {
  const auto shape = p3d::Broadcast::Channels(g, order);
  const auto x = Gaussian<Dtype>(1, g.count()),
             dy = Gaussian<Dtype>(2, g.count()),
             center = Gaussian<Dtype>(3, g.channels),
             scale = Gaussian<Dtype>(4, g.channels),
             shift = Gaussian<Dtype>(5, g.channels);
  const Device<Dtype> d_x(x), d_dy(dy), d_center(center), d_scale(scale),
      d_shift(shift), y(x.size());
  Values<Dtype> want(x.size());
  p3d::ScaleShift(shape, center.data(), scale.data(), shift.data(), x.data(),
                  want.data());
  p3d::cuda::ScaleShift(nullptr, shape, d_center.get(), d_scale.get(),
                        d_shift.get(), d_x.get(), y.get());
  ExpectNear(y.values(), want, where + "ScaleShift");
  p3d::cuda::ScaleShift<Dtype>(nullptr, shape, nullptr, nullptr, nullptr,
                               y.get(), y.get());
  ExpectNear(y.values(), want, where + "ScaleShift by nothing, in place");

  Values<Dtype> dscale = scale, dshift = shift;
  const Device<Dtype> d_dscale(scale), d_dshift(shift);
  p3d::ScaleShiftGradients(shape, x.data(), dy.data(), dscale.data(),
                           dshift.data());
  const Device<double> scratch(p3d::cuda::SumsScratchSize(shape));
  p3d::cuda::ScaleShiftGradients(nullptr, shape, d_x.get(), d_dy.get(),
                                 scratch.get(), d_dscale.get(), d_dshift.get());
  ExpectNear(d_dscale.values(), dscale, where + "gradient of the scale");
  ExpectNear(d_dshift.values(), dshift, where + "gradient of the shift");
  const Device<Dtype> alone(shift);
  p3d::cuda::ScaleShiftGradients<Dtype>(nullptr, shape, nullptr, d_dy.get(),
                                        scratch.get(), nullptr, alone.get());
  Expect(alone.values() == d_dshift.values(), where + "shift without scale");
}

template <typename Dtype>
void TestPointwise(const std::string& where, int64_t count) {
  Values<Dtype> x = Gaussian<Dtype>(1, count), y(count);
  x[0] = -std::numeric_limits<Dtype>::infinity();
  if (count > 3) x[3] = 0;
  const Values<Dtype> dy = Gaussian<Dtype>(2, count);
  const Device<Dtype> d_x(x), d_dy(dy), d_y(count);
  p3d::Relu(x.data(), count, Dtype(0), y.data());
  p3d::cuda::Relu(nullptr, d_x.get(), count, Dtype(0), d_y.get());
  Expect(d_y.values() == y, where + "Relu");
  p3d::Relu(x.data(), count, Dtype(0.25), y.data());
  p3d::cuda::Relu(nullptr, d_x.get(), count, Dtype(0.25), d_y.get());
  Expect(d_y.values() == y, where + "leaky Relu");
  p3d::ReluBackward(x.data(), dy.data(), count, Dtype(0.25), y.data());
  p3d::cuda::ReluBackward(nullptr, d_x.get(), d_dy.get(), count, Dtype(0.25),
                          d_y.get());
  Expect(d_y.values() == y, where + "ReluBackward");
}

template <typename Dtype>
void TestSigmoids(const std::string& where, int64_t count) {
  Values<Dtype> x = Gaussian<Dtype>(1, count), y(count), dx(count);
  x[0] = -1000;
  if (count > 3) x[3] = 1000;
  const Values<Dtype> dy = Gaussian<Dtype>(2, count);
  const Device<Dtype> d_x(x), d_dy(dy), d_y(count);
  p3d::Sigmoid(x.data(), count, y.data());
  p3d::cuda::Sigmoid(nullptr, d_x.get(), count, d_y.get());
  ExpectNear(d_y.values(), y, where + "Sigmoid");
  p3d::SigmoidBackward(y.data(), dy.data(), count, dx.data());
  p3d::cuda::SigmoidBackward(nullptr, d_y.get(), d_dy.get(), count, d_y.get());
  ExpectNear(d_y.values(), dx, where + "SigmoidBackward in place");
  p3d::Tanh(x.data(), count, y.data());
  p3d::cuda::Tanh(nullptr, d_x.get(), count, d_x.get());
  ExpectNear(d_x.values(), y, where + "Tanh in place");
  p3d::TanhBackward(y.data(), dy.data(), count, dx.data());
  p3d::cuda::TanhBackward(nullptr, d_x.get(), d_dy.get(), count, d_dy.get());
  ExpectNear(d_dy.values(), dx, where + "TanhBackward in place");
}

// y = a function of x on both sides, and in place.
template <typename Dtype, typename Host, typename Gpu, typename... Args>
void TestMap(const std::string& where, Host host, Gpu gpu,
             const Values<Dtype>& x, Args... args) {
  const auto count = static_cast<int64_t>(x.size());
  Values<Dtype> want(x.size());
  const Device<Dtype> from(x), to(count);
  host(x.data(), count, args..., want.data());
  gpu(nullptr, from.get(), count, args..., to.get());
  ExpectNear(to.values(), want, where);
  gpu(nullptr, from.get(), count, args..., from.get());
  ExpectNear(from.values(), want, where + " in place");
}

// The same for a gradient.
template <typename Dtype, typename Host, typename Gpu, typename... Args>
void TestSlope(const std::string& where, Host host, Gpu gpu,
               const Values<Dtype>& x, Args... args) {
  const auto count = static_cast<int64_t>(x.size());
  const auto dy = Gaussian<Dtype>(2, count);
  Values<Dtype> want(x.size());
  const Device<Dtype> from(x), d_dy(dy);
  host(x.data(), dy.data(), count, args..., want.data());
  gpu(nullptr, from.get(), d_dy.get(), count, args..., d_dy.get());
  ExpectNear(d_dy.values(), want, where);
}

template <typename Dtype>
void TestFunctions(const std::string& where, int64_t count) {
  namespace gpu = p3d::cuda;
  Values<Dtype> x = Gaussian<Dtype>(1, count), above = x;
  if (count > 3) x[3] = 0;
  for (Dtype& value : above) value = std::fabs(value) + Dtype(0.1);
  const Dtype half = 0.5, two = 2, three = 3, less = -0.3, more = 0.7, no = 0;
  TestMap(where + "Abs", p3d::Abs<Dtype>, gpu::Abs<Dtype>, x);
  TestSlope(where + "AbsBackward", p3d::AbsBackward<Dtype>,
            gpu::AbsBackward<Dtype>, x);
  TestMap(where + "Bnll", p3d::Bnll<Dtype>, gpu::Bnll<Dtype>, x);
  TestSlope(where + "BnllBackward", p3d::BnllBackward<Dtype>,
            gpu::BnllBackward<Dtype>, x);
  TestMap(where + "Clip", p3d::Clip<Dtype>, gpu::Clip<Dtype>, x, less, more);
  TestSlope(where + "ClipBackward", p3d::ClipBackward<Dtype>,
            gpu::ClipBackward<Dtype>, x, less, more);
  TestMap(where + "Elu", p3d::Elu<Dtype>, gpu::Elu<Dtype>, x, half);
  TestMap(where + "Exp", p3d::Exp<Dtype>, gpu::Exp<Dtype>, x, half, two);
  TestSlope(where + "ExpBackward", p3d::ExpBackward<Dtype>,
            gpu::ExpBackward<Dtype>, x, half);
  TestMap(where + "Log", p3d::Log<Dtype>, gpu::Log<Dtype>, above, two, half,
          three);
  TestSlope(where + "LogBackward", p3d::LogBackward<Dtype>,
            gpu::LogBackward<Dtype>, above, two, half, three);
  for (Dtype power : {no, Dtype(1), two, three, half}) {
    for (Dtype scale : {no, more}) {
      const std::string what = where + "Power " + std::to_string(power) +
                               ", scale " + std::to_string(scale);
      TestMap(what, p3d::Power<Dtype>, gpu::Power<Dtype>, above, power, scale,
              two);
      TestSlope(what + " backward", p3d::PowerBackward<Dtype>,
                gpu::PowerBackward<Dtype>, above, power, scale, two);
    }
  }
  TestMap(where + "Swish", p3d::Swish<Dtype>, gpu::Swish<Dtype>, x, two);
  TestSlope(where + "SwishBackward", p3d::SwishBackward<Dtype>,
            gpu::SwishBackward<Dtype>, x, two);
  TestMap(where + "Threshold", p3d::Threshold<Dtype>, gpu::Threshold<Dtype>, x,
          less);

  const auto y = Gaussian<Dtype>(3, count), dy = Gaussian<Dtype>(4, count);
  Values<Dtype> dx(x.size());
  const Device<Dtype> d_x(x), d_y(y), d_dy(dy);
  p3d::EluBackward(x.data(), y.data(), dy.data(), count, half, dx.data());
  gpu::EluBackward(nullptr, d_x.get(), d_y.get(), d_dy.get(), count, half,
                   d_dy.get());
  ExpectNear(d_dy.values(), dx, where + "EluBackward in place");
}

// Out of rows that are longer, into rows that are longer still.
template <typename Dtype>
void TestCopyRows(const std::string& where, const Geometry& g) {
  const int64_t rows = g.num * g.channels, width = g.pixels;
  const int64_t from_stride = width + 3, to_stride = width + 5;
  const auto from = Gaussian<Dtype>(1, rows * from_stride);
  auto to = Gaussian<Dtype>(2, rows * to_stride);
  const Device<Dtype> d_from(from), d_to(to);
  p3d::CopyRows<Dtype>(rows, width, {from.data() + 2, from_stride},
                       {to.data() + 1, to_stride});
  p3d::cuda::CopyRows<Dtype>(nullptr, rows, width,
                             {d_from.get() + 2, from_stride},
                             {d_to.get() + 1, to_stride});
  Expect(d_to.values() == to, where + "CopyRows");
}

template <typename Dtype>
void TestPrelu(const std::string& where, const Geometry& g, Order order) {
  const auto x = Gaussian<Dtype>(1, g.count()),
             slope = Gaussian<Dtype>(2, g.channels),
             dy = Gaussian<Dtype>(3, g.count());
  Values<Dtype> y(x.size()), dslope = slope;
  const Device<Dtype> d_x(x), d_slope(slope), d_dy(dy), d_y(x.size()),
      d_dslope(slope);
  p3d::Prelu(g, order, x.data(), slope.data(), y.data());
  p3d::cuda::Prelu(nullptr, g, order, d_x.get(), d_slope.get(), d_y.get());
  ExpectNear(d_y.values(), y, where + "Prelu");
  const Device<double> scratch(
      p3d::cuda::SumsScratchSize(p3d::Broadcast::Channels(g, order)));
  p3d::PreluBackward(g, order, x.data(), slope.data(), dy.data(), dslope.data(),
                     y.data());
  p3d::cuda::PreluBackward(nullptr, g, order, d_x.get(), d_slope.get(),
                           d_dy.get(), scratch.get(), d_dslope.get(),
                           d_dy.get());
  ExpectNear(d_dslope.values(), dslope, where + "gradient of Prelu's slopes");
  ExpectNear(d_dy.values(), y, where + "PreluBackward in place");
}

// Arrays with ties, for both.
template <typename Dtype>
struct Bottoms {
  Bottoms(size_t size, int64_t count) {
    for (size_t b = 0; b < size; ++b) {
      values.push_back(Gaussian<Dtype>(b, count));
      for (int64_t i = 0; i < count; i += 3) values[b][i] = values[0][i];
      owners.emplace_back(new Device<Dtype>(values[b]));
      device.push_back(owners[b]->get());
      coefficients.push_back(0.5f * static_cast<float>(b) - 1);
    }
    for (const Values<Dtype>& value : values) host.push_back(value.data());
  }
  std::vector<Values<Dtype>> values;
  std::vector<std::unique_ptr<Device<Dtype>>> owners;
  std::vector<const Dtype*> host, device;
  std::vector<float> coefficients;
};

template <typename Dtype>
void TestEltwise(const std::string& where, int64_t count) {
  for (size_t size : {1, 2, 3, 16}) {
    const Bottoms<Dtype> all(size, count);
    const std::string what = where + std::to_string(size) + " bottoms: ";
    const Device<Dtype> top(count);
    Values<Dtype> want(count);
    p3d::EltwiseProd(all.host, count, want.data());
    p3d::cuda::EltwiseProd(nullptr, all.device, count, top.get());
    ExpectNear(top.values(), want, what + "EltwiseProd");
    p3d::EltwiseMax(all.host, count, want.data());
    p3d::cuda::EltwiseMax(nullptr, all.device, count, top.get());
    Expect(top.values() == want, what + "EltwiseMax");
    const Values<Dtype> dy = Gaussian<Dtype>(99, count);
    for (size_t bottom : {size_t{0}, size / 2, size - 1}) {
      const std::string of = ", bottom " + std::to_string(bottom);
      const Device<Dtype> dx(dy);
      p3d::EltwiseMaxBackward(all.host, bottom, dy.data(), count, want.data());
      p3d::cuda::EltwiseMaxBackward(nullptr, all.device, bottom, dx.get(),
                                    count, dx.get());
      Expect(dx.values() == want, what + "EltwiseMaxBackward in place" + of);
      const Device<Dtype> again(dy);
      p3d::EltwiseProdBackward(all.host, bottom, dy.data(), count, want.data());
      p3d::cuda::EltwiseProdBackward(nullptr, all.device, bottom, again.get(),
                                     count, again.get());
      ExpectNear(again.values(), want,
                 what + "EltwiseProdBackward in place" + of);
    }
    p3d::EltwiseSum(all.host, all.coefficients, count, want.data());
    p3d::cuda::EltwiseSum(nullptr, all.device, all.coefficients, count,
                          all.owners.back()->get());
    ExpectNear(all.owners.back()->values(), want,
               what + "EltwiseSum into a bottom");
  }
}

template <typename Dtype>
void TestSoftmax(const std::string& where, const Geometry& g) {
  const p3d::AxisView view = {g.num, g.channels, g.pixels};
  const Values<Dtype> x = Gaussian<Dtype>(1, g.count()),
                      dy = Gaussian<Dtype>(2, g.count());
  Values<Dtype> y(x.size()), dx(x.size());
  const Device<Dtype> d_x(x), d_y(x.size()), d_dy(dy);
  p3d::Softmax(view, x.data(), y.data());
  p3d::cuda::Softmax(nullptr, view, d_x.get(), d_y.get());
  ExpectNear(d_y.values(), y, where + "Softmax");
  p3d::SoftmaxBackward(view, y.data(), dy.data(), dx.data());
  p3d::cuda::SoftmaxBackward(nullptr, view, d_y.get(), d_dy.get(), d_dy.get());
  ExpectNear(d_dy.values(), dx, where + "SoftmaxBackward in place");
}

template <typename Dtype>
void TestDropout(const std::string& where, int64_t count) {
  const Values<Dtype> x = Gaussian<Dtype>(1, count);
  Values<Dtype> y(count);
  const Device<Dtype> memory(x);
  p3d::KeepRandomly(1701, 0.75, 4 / 3.0, count, x.data(), y.data());
  p3d::cuda::KeepRandomly(nullptr, 1701, 0.75, 4 / 3.0, count, memory.get(),
                          memory.get());
  Expect(memory.values() == y, where + "KeepRandomly in place");
}

template <typename Dtype>
void TestUpdate(const std::string& where, int64_t count, p3d::UpdateRule rule) {
  p3d::UpdateStep step;
  step.rule = rule;
  step.gradient_scale = 0.5;
  step.shrink = 0.125;
  step.gain = 0.1;
  step.momentum = 0.9;
  step.decay2 = 0.99;
  step.delta = 1e-3;
  for (int variant = 0; variant < 3; ++variant) {
    step.decay = variant == 0 ? 0 : 0.25;
    step.l1 = variant == 2;
    Values<Dtype> w = Gaussian<Dtype>(1, count), g = Gaussian<Dtype>(2, count),
                  a = Gaussian<Dtype>(3, count), b = Gaussian<Dtype>(4, count);
    for (Dtype& value : a) value = std::fabs(value);
    for (Dtype& value : b) value = std::fabs(value);
    const bool second = p3d::HasSecondMoment(rule);
    const Device<Dtype> d_w(w), d_g(g), d_a(a), d_b(b);
    const Device<char> finite(Values<char>{1});
    bool* flag = reinterpret_cast<bool*>(finite.get());
    p3d::Update(step, count, w.data(), g.data(), a.data(),
                second ? b.data() : nullptr);
    p3d::cuda::Update<Dtype>(nullptr,
                             {{step, count, d_w.get(), d_g.get(), d_a.get(),
                               second ? d_b.get() : nullptr, flag}});
    const std::string what = where + "Update by rule " +
                             std::to_string(static_cast<int>(rule)) +
                             ", variant " + std::to_string(variant);
    ExpectNear(d_w.values(), w, what + ": w");
    ExpectNear(d_g.values(), g, what + ": g");
    ExpectNear(d_a.values(), a, what + ": a");
    ExpectNear(d_b.values(), b, what + ": b");
    Expect(finite.values()[0] == 1, what + ": finite");
  }
}

// Arrays of many sizes, more than share a launch, each by a step of its own;
// every tenth has a weight that overflows, and every tenth none.
template <typename Dtype>
void TestManyUpdates(int64_t first_value) {
  constexpr int kArrays = 61;
  const std::string where = "test_cuda_values: Update of many, " +
                            std::to_string(first_value) +
                            " behind an aligned address, ";
  const Device<char> finite(Values<char>(kArrays, 1));
  std::vector<std::unique_ptr<Device<Dtype>>> memory;
  std::vector<p3d::cuda::ParamUpdate<Dtype>> params;
  std::vector<Values<Dtype>> want;
  testing::FirstValue() = first_value;
  for (int i = 0; i < kArrays; ++i) {
    const int64_t count = i % 10 == 3 ? 0 : 1 + 37 * i * (i % 5);
    p3d::UpdateStep step;
    step.gain = 0.01 * (i + 1);
    step.momentum = 0.9;
    step.decay = i % 3 * 0.25;
    for (int k = 0; k < 3; ++k) {
      want.push_back(Gaussian<Dtype>(3 * i + k, count));
    }
    Dtype* at[3];
    for (int k = 0; k < 3; ++k) at[k] = want[3 * i + k].data();
    if (i % 10 == 8) {
      at[1][count - 1] = std::numeric_limits<Dtype>::max();
      at[0][count - 1] = -at[1][count - 1];
    }
    for (int k = 0; k < 3; ++k) {
      memory.emplace_back(new Device<Dtype>(want[3 * i + k]));
    }
    params.push_back({step, count, memory[3 * i]->get(),
                      memory[3 * i + 1]->get(), memory[3 * i + 2]->get(),
                      nullptr, reinterpret_cast<bool*>(finite.get()) + i});
    p3d::Update<Dtype>(step, count, at[0], at[1], at[2], nullptr);
  }
  testing::FirstValue() = 0;
  p3d::cuda::Update(nullptr, params);
  const Values<char> flags = finite.values();
  for (int i = 0; i < kArrays; ++i) {
    const std::string array = where + "array " + std::to_string(i);
    Expect(flags[i] == (i % 10 != 8), array + ": finite");
    for (int k = 0; k < 3 && i % 10 != 8; ++k) {
      ExpectNear(memory[3 * i + k]->values(), want[3 * i + k], array);
    }
  }
}

// Each as alone, however many share a launch.
void TestManySquares() {
  constexpr int kArrays = 61;
  std::vector<std::unique_ptr<Device<float>>> memory;
  std::vector<p3d::cuda::SquaresOf<float>> arrays;
  const Device<double> sums(kArrays + 1), alone(1),
      scratch(p3d::cuda::kSumOfSquaresScratch);
  for (int i = 0; i < kArrays; ++i) {
    const int64_t count = i % 7 == 3 ? 0 : 1 + 997 * i * (i % 5);
    memory.emplace_back(new Device<float>(Gaussian<float>(i, count + 1)));
    arrays.push_back({count, memory.back()->get(), sums.get() + i});
  }
  p3d::cuda::SumOfSquares(nullptr, arrays, scratch.get());
  const std::vector<double> got = sums.values();
  for (int i = 0; i < kArrays; ++i) {
    p3d::cuda::SumOfSquares<float>(
        nullptr, {{arrays[i].count, arrays[i].x, alone.get()}}, scratch.get());
    Expect(got[i] == alone.values()[0],
           "test_cuda_values: squares of many: " + std::to_string(i));
  }
  Expect(std::isnan(got[kArrays]), "test_cuda_values: squares behind the last");
}

// In double, in another order.
template <typename Dtype>
void TestSumOfSquares(const std::string& where, int64_t count) {
  const Values<Dtype> x = Gaussian<Dtype>(1, count);
  const Device<Dtype> d_x(x);
  const Device<double> scratch(p3d::cuda::kSumOfSquaresScratch), sum(1);
  p3d::cuda::SumOfSquares<Dtype>(nullptr, {{count, d_x.get(), sum.get()}},
                                 scratch.get());
  const double got = sum.values()[0], want = p3d::SumOfSquares(count, x.data());
  Expect(std::fabs(got - want) <= 1e-12 * want,
         where + "SumOfSquares is " + std::to_string(got) + " instead of " +
             std::to_string(want));
}

Geometry Parse(const std::string& text) {
  Geometry g;
  std::istringstream(text) >> g.num >> g.channels >> g.pixels;
  return g;
}

template <typename Dtype>
void TestType(const std::string& text) {
  const Geometry g = Parse(text);
  const std::string where = "test_cuda_values \"" + text + "\", from value " +
                            std::to_string(testing::FirstValue()) + " on" +
                            (sizeof(Dtype) == 4 ? ", float: " : ", double: ");
  TestOrder<Dtype>(where, g);
  for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
    const std::string what =
        where +
        (order == Order::kCaffe ? "in Caffe's order: " : "channels last: ");
    TestAffine<Dtype>(what, g, order);
    TestPrelu<Dtype>(what, g, order);
  }
  TestPointwise<Dtype>(where, g.count());
  TestSigmoids<Dtype>(where, g.count());
  TestFunctions<Dtype>(where, g.count());
  TestCopyRows<Dtype>(where, g);
  TestEltwise<Dtype>(where, g.count());
  TestSoftmax<Dtype>(where, g);
  TestDropout<Dtype>(where, g.count());
  TestSumOfSquares<Dtype>(where, g.count());
  for (int rule = 0; rule <= static_cast<int>(p3d::UpdateRule::kAdam); ++rule) {
    TestUpdate<Dtype>(where, g.count(), static_cast<p3d::UpdateRule>(rule));
  }
}

// `scale` is the epilogue's, if it has one; the gradient of the residual may be
// unwanted, set or added to.
void TestEpilogueBackward(const std::string& where,
                          const p3d::ConvEpilogue& epilogue,
                          const Values<float>& scale, const Geometry& g) {
  const int64_t rows = g.num * g.pixels;
  const auto y = Gaussian<float>(1, g.count()),
             start = Gaussian<float>(2, g.count()),
             sum = Gaussian<float>(3, g.count());
  const Device<float> d_y(y), d_scale(scale);
  p3d::ConvEpilogue device = epilogue;
  if (device.scale) device.scale = d_scale.get();
  for (const char* kind : {"unwanted", "set", "added to"}) {
    const bool wanted = kind[0] != 'u', add = kind[0] == 'a';
    Values<float> dy = start, dresidual = sum;
    const Device<float> d_dy(start), d_dresidual(sum);
    p3d::EpilogueBackward(epilogue, rows, g.channels, y.data(), dy.data(),
                          wanted ? dresidual.data() : nullptr, add);
    p3d::cuda::EpilogueBackward(nullptr, device, rows, g.channels, d_y.get(),
                                d_dy.get(),
                                wanted ? d_dresidual.get() : nullptr, add);
    const std::string what = where + ", gradient of the residual " + kind;
    ExpectNear(d_dy.values(), dy, what + ": dy");
    ExpectNear(d_dresidual.values(), dresidual, what + ": dresidual");
  }
}

// What there is for float alone.
void TestFloat(const std::string& text) {
  const Geometry g = Parse(text);
  for (int64_t means : {int64_t{1}, g.pixels}) {
    const std::string where = "test_cuda_values \"" + text + "\", ";
    TestPixels<float>(where, g, means);
    TestPixels<p3d::Bf16>(where, g, means);
    TestPixels<p3d::Fp16>(where, g, means);
  }
  const Values<float> scale = Gaussian<float>(4, g.channels);
  for (int variant = 0; variant < 12; ++variant) {
    p3d::ConvEpilogue epilogue;
    epilogue.inner_relu = variant % 3 == 1;
    epilogue.outer_relu = variant % 3 == 2;
    epilogue.residual = variant / 3 % 2 ? scale.data() : nullptr;
    epilogue.scale = variant / 6 ? scale.data() : nullptr;
    epilogue.alpha = 0.75f;
    epilogue.beta = -0.5f;
    if (epilogue.inner_relu && epilogue.residual) continue;
    TestEpilogueBackward("test_cuda_values \"" + text + "\", epilogue " +
                             std::to_string(variant),
                         epilogue, scale, g);
  }
}

// None, and one that is not finite.
void TestSumOfSquaresLimits() {
  const Device<float> x(
      Values<float>{1, std::numeric_limits<float>::infinity()});
  const Device<double> scratch(p3d::cuda::kSumOfSquaresScratch), sum(1);
  const auto sum_of = [&](int64_t count) {
    p3d::cuda::SumOfSquares<float>(nullptr, {{count, x.get(), sum.get()}},
                                   scratch.get());
  };
  sum_of(0);
  Expect(sum.values()[0] == 0, "test_cuda_values: SumOfSquares of nothing");
  sum_of(2);
  Expect(std::isinf(sum.values()[0]), "test_cuda_values: an infinite square");
}

// NaNs in the places of Caffe's comparisons.
void TestMaxOfNaN() {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const Device<float> a(Values<float>{none, 1, 1, none}),
      b(Values<float>{2, none, 2, none}), c(Values<float>{1, 3, none, 4}),
      top(4), dx(4);
  const std::vector<const float*> bottoms = {a.get(), b.get(), c.get()};
  p3d::cuda::EltwiseMax(nullptr, bottoms, 4, top.get());
  const Values<float> got = top.values();
  Expect(got[0] == 2 && std::isnan(got[1]) && got[2] == 2 && std::isnan(got[3]),
         "test_cuda_values: EltwiseMax of NaN");
  p3d::cuda::EltwiseMaxBackward(nullptr, bottoms, 1, c.get(), 4, dx.get());
  const Values<float> gradient = dx.values();
  Expect(gradient[0] == 1 && gradient[1] == 3 && std::isnan(gradient[2]) &&
             gradient[3] == 4,
         "test_cuda_values: EltwiseMaxBackward of NaN");
}

// Gradients of nothing are none.
void TestNoValues() {
  for (const p3d::Broadcast& shape :
       {p3d::Broadcast{0, 3, 1}, p3d::Broadcast{2, 3, 0},
        p3d::Broadcast{2, 0, 4}}) {
    const Values<float> before(shape.dim, 5.f);
    const Device<float> dscale(before), dshift(before);
    const Device<double> scratch(p3d::cuda::SumsScratchSize(shape));
    p3d::cuda::ScaleShiftGradients<float>(nullptr, shape, nullptr, nullptr,
                                          scratch.get(), dscale.get(),
                                          dshift.get());
    Expect(dscale.values() == before && dshift.values() == before,
           "test_cuda_values: ScaleShiftGradients of nothing");
  }
}

// A row with a NaN, or with nothing above minus infinity, is NaN; another with
// an infinite place is not.
void TestSoftmaxLimits() {
  const float none = std::numeric_limits<float>::quiet_NaN(),
              least = -std::numeric_limits<float>::infinity();
  const Device<float> x(
      Values<float>{none, 1, 2, 1, none, 2, least, least, least, 1, least, 1}),
      y(12);
  p3d::cuda::Softmax(nullptr, {4, 3, 1}, x.get(), y.get());
  const Values<float> got = y.values();
  for (int i = 0; i < 9; ++i) {
    Expect(std::isnan(got[i]), "test_cuda_values: Softmax with NaN");
  }
  Expect(got[9] == 0.5f && got[10] == 0 && got[11] == 0.5f,
         "test_cuda_values: Softmax of minus infinity");
}

// One weight that is not finite any more is enough.
void TestNotFinite() {
  const float most = std::numeric_limits<float>::max();
  p3d::UpdateStep step;
  step.gain = 1;
  Values<float> weights(700, 1.f), gradients(700, 1.f);
  weights[600] = -most;
  gradients[600] = most;
  const Device<float> w(weights), g(gradients), a(Values<float>(700, 0.f));
  const Device<char> finite(Values<char>{1});
  p3d::cuda::Update<float>(nullptr,
                           {{step, 700, w.get(), g.get(), a.get(), nullptr,
                             reinterpret_cast<bool*>(finite.get())}});
  Expect(finite.values()[0] == 0, "test_cuda_values: a weight overflows");
}

// Digit by digit, as GPUs do it, where it takes more than 32 bits.
void TestQuotient() {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const int64_t values[] = {
      0, 1, 7, 0xffffffff, 0x100000000, 0x1ffffffff, most / 3, most - 1, most};
  for (int64_t a : values) {
    for (int64_t b : values) {
      if (b == 0) continue;
      Expect(
          p3d::cuda::Quotient(a, b) == a / b,
          "test_cuda_values: " + std::to_string(a) + " / " + std::to_string(b));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestFloat}, {0, 1});
  TestQuotient();
  TestMaxOfNaN();
  TestNotFinite();
  TestNoValues();
  TestSoftmaxLimits();
  TestSumOfSquaresLimits();
  TestManySquares();
  for (int64_t first_value : {0, 1}) {
    TestManyUpdates<float>(first_value);
    TestManyUpdates<double>(first_value);
  }
  testing::ExpectError(
      [] {
        p3d::cuda::EltwiseSum<float>(nullptr, std::vector<const float*>(17),
                                     std::vector<float>(17), 1, nullptr);
      },
      "up to 16 bottoms, not 17", "test_cuda_values: 17 bottoms");
  return testing::Finish();
}
