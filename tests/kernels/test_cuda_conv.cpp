// The convolution of conv.cu and its gradients, each implementation that can do
// a case, against those of conv_reference.cpp; see device.hpp for what this
// tests where. All values are small integers over a power of two, so that sums
// are exact, and results the same to the bit, for every kind of values.
//
//   test_cuda_conv [--quick | "case"]
//
// Cases are written as in conv_cases.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "conv_cases.hpp"
#include "device.hpp"
#include "kernels/conv/conv_call_cuda.hpp"
#include "kernels/conv/conv_cuda.hpp"
#include "kernels/conv/conv_data_gradient_call_cuda.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/conv_weight_gradient_call_cuda.hpp"
#include "kernels/conv/mma_warp_tile_cuda.hpp"
#include "kernels/cuda/wgmma_cuda.hpp"
#include "kernels/order.hpp"
#include "testing.hpp"

namespace {

using p3d::Bf16;
using p3d::BlobStrides;
using p3d::ConvShape;
using p3d::Fp16;
using p3d::RealOf;
using p3d::Tf32;
using testing::Device;
using testing::Expect;

const char* const kCases[] = {
    "1 1 1 1 zero 1,1,1,1,0,0",
    "3 5 7 1 zero 1,1,1,1,0,0",
    "1 3 9 1 zero 9,3,1,1,1,1",
    "2 4 6 2 zero 7,3,2,1,1,0 6,2,3,1,0,2",
    "2 7 300 1 zero 2,1,1,1,0,0 3,1,1,1,0,0 4,1,1,1,0,0",
    "2 3 5 1 zero 4,1,1,1,0,0 9,7,2,1,3,3 8,7,2,1,3,3",
    "1 6 5 1 zero 5,3,1,1,1,1 3,1,1,1,0,0 3,1,1,1,0,0",
    "2 6 5 1 zero 2,1,1,1,0,0 5,3,1,1,1,1 5,3,1,1,1,1",
    "2 9 4 1 zero 3,1,2,1,0,0 7,1,2,1,0,0 8,1,3,1,0,0",
    "1 2 3 1 zero 5,3,2,2,3,1 6,2,1,3,2,2 7,3,3,1,0,4",  // dilated
    "1 2 3 1 zero 4,1,3,1,2,2 5,1,1,1,1,0",  // windows of padding alone
    "1 4 9 1 zero 3,2,1,4,4,4",
    "1 3 4 1 replicate 4,3,1,1,1,1 5,3,1,1,1,1 6,3,1,1,1,1",
    "2 5 3 1 replicate 3,1,1,1,0,0 2,5,1,2,4,5 7,4,3,1,0,3",
    "1 1 1 1 replicate 1,3,1,1,2,2",
    "2 4 6 2 replicate 5,2,2,1,3,4 1,2,1,1,1,2",
    "2 5 5 5 zero 6,3,1,1,1,1 5,3,2,1,1,1",  // depthwise
    "1 3 9 3 zero 4,3,1,1,1,1 3,3,2,1,1,1 5,3,2,1,1,1",
    "3 1 2 1 zero 11,3,1,1,1,1 13,3,1,1,1,1",  // more pixels than threads
    // Whole fours of channels; tiles that are full, and cut on every side.
    "1 4 4 1 zero 1,1,1,1,0,0",
    "2 64 64 1 zero 8,1,1,1,0,0 8,1,1,1,0,0",
    "1 12 132 1 zero 11,3,1,1,1,1 13,1,1,1,0,0",
    "1 132 12 1 zero 3,1,1,1,0,0 5,3,1,1,1,1",
    "2 16 24 1 zero 3,1,1,1,0,0 5,1,1,1,0,2 4,1,1,1,0,0",  // outputs of padding
    "2 16 24 1 zero 3,1,1,1,0,0 5,1,1,1,2,0 4,1,1,1,0,0",
    "2 20 36 1 zero 3,3,1,1,1,1 4,1,1,1,0,0 5,1,1,1,0,0",
    "2 16 24 2 zero 5,3,2,1,1,1 7,3,2,1,1,1 6,1,2,1,0,0",
    "1 8 16 1 zero 5,2,2,2,3,1 6,2,1,3,2,2 7,3,3,1,0,4",
    "1 8 4 1 replicate 4,3,1,1,1,1 5,3,2,1,1,1 6,3,1,2,3,3",
    // Whole eights of channels, in slabs that end within a tap or hold several.
    "1 40 136 1 zero 11,3,1,1,1,1 13,1,1,1,0,0",
    "1 136 40 1 zero 5,3,1,1,1,1 2,1,1,1,0,0 14,1,1,1,0,0",
    "2 8 8 1 zero 7,3,1,1,1,1 6,3,2,1,1,1 5,3,1,2,2,2",
    "2 16 16 2 zero 5,3,2,1,1,1 7,3,2,1,1,1 6,1,2,1,0,0",
    "1 4 12 1 zero 6,3,1,1,1,1 7,7,2,1,3,3",
    "1 2 2 1 zero 33,29,1,1,3,3 3,3,1,1,1,1",  // more taps than bits
    // Taps so far apart that ints do not count the values between them.
    "1 8 8 1 zero 1,3,1,4200000,4200000,4200000 8,1,1,1,0,0 8,1,1,1,0,0",
    // Few channels, which are filled; two pixels as one where windows begin at
    // every other one, and where they would but lines or channels are odd.
    "2 3 32 1 zero 3,1,1,1,0,0 9,7,2,1,3,3 12,7,2,1,3,3",
    "1 2 40 1 zero 2,1,1,1,0,0 5,3,1,1,1,1 8,4,2,1,0,1",
    "1 1 32 1 zero 3,3,1,1,1,1 6,1,1,1,0,0 10,5,4,1,2,3",
    "2 3 48 1 zero 2,2,1,1,0,1 5,3,1,1,1,1 7,5,2,1,2,2",
    "1 5 32 1 zero 1,1,1,1,0,0 4,3,1,1,1,1 8,3,2,1,1,1",
    "1 2 32 1 zero 2,1,1,1,0,0 3,1,1,1,0,0 9,2,4,1,0,0",
    "1 3 32 1 zero 2,1,1,1,0,0 3,1,1,1,0,0 12,3,2,2,1,1",
    // Slices of pixels, from images of many and of few.
    "2 8 12 1 zero 7,1,1,1,0,0 9,3,1,1,1,1 11,3,1,1,1,1",
    "300 4 8 1 zero 3,1,1,1,0,0",
    "301 3 5 1 zero 2,1,1,1,0,0 2,3,1,1,1,1",
    // More terms than are summed in float.
    "1 8203 3 1 zero 1,1,1,1,0,0",
    "1 3 8203 1 zero 1,1,1,1,0,0",
};

// Long sums of few values, which are cut into slices, of the output and of the
// gradient of the input: whole fours and odd sizes, groups, strides, taps along
// w that become one, slices that end within a tap.
const char* const kSliced[] = {
    "1 68 72 1 zero 3,3,1,1,1,1 3,3,1,1,1,1",
    "1 67 71 1 zero 3,3,1,1,1,1 2,1,1,1,0,0 5,3,2,1,1,1",
    "2 122 118 2 zero 4,3,2,1,1,1 3,3,1,1,0,1",
    "1 520 12 1 zero 1,1,1,1,0,0 3,1,1,1,0,0",
    "1 11 523 1 zero 1,1,1,1,0,0 3,1,1,1,0,0",
};

// The same for tensor cores, whose slices are longer.
const char* const kMmaSliced[] = {
    "1 120 88 1 zero 3,3,1,1,1,1 3,3,1,1,1,1",
    "1 117 91 1 zero 3,3,1,1,1,1 2,1,1,1,0,0 5,3,2,1,1,1",
    "2 192 176 2 zero 4,3,2,1,1,1 3,3,1,1,0,1",
    "1 1032 12 1 zero 1,1,1,1,0,0 3,1,1,1,0,0",
    "1 11 1035 1 zero 1,1,1,1,0,0 3,1,1,1,0,0",
};

template <typename Dtype>
std::vector<Dtype> Values(int64_t count, uint32_t seed) {
  std::vector<float> values(count);
  testing::Fill(values.data(), count, 8, 0.125f, seed);
  return std::vector<Dtype>(values.begin(), values.end());
}

template <typename Dtype>
std::vector<Dtype> Blank(size_t count) {
  return std::vector<Dtype>(count, std::numeric_limits<Dtype>::quiet_NaN());
}

// The values that kernels of a kind are given or are to return.
template <typename Value, typename Dtype>
std::vector<Value> As(const std::vector<Dtype>& values) {
  return std::vector<Value>(values.begin(), values.end());
}

template <typename Value>
const char* Kind();
template <>
const char* Kind<float>() {
  return "float";
}
template <>
const char* Kind<double>() {
  return "double";
}
template <>
const char* Kind<Bf16>() {
  return "bf16";
}
template <>
const char* Kind<Fp16>() {
  return "fp16";
}
template <>
const char* Kind<Tf32>() {
  return "tf32";
}

// Whether an implementation is for tensor cores that this GPU has not.
template <typename Value>
bool LacksCores(const std::string& name) {
  return name.compare(0, 5, "wgmma") == 0 ? !p3d::cuda::HasWgmma()
         : name.compare(0, 3, "mma") == 0 ? !p3d::cuda::HasMma<Value>()
                                          : false;
}
template <>
bool LacksCores<float>(const std::string&) {
  return false;
}
template <>
bool LacksCores<double>(const std::string&) {
  return false;
}

// The names of the implementations that were launched.
template <typename Call>
std::set<std::string>& Met() {
  static std::set<std::string> names;
  return names;
}

template <typename Call>
void ExpectAllMet() {
  for (const auto& candidate : p3d::cuda::All<Call>()) {
    Expect(Met<Call>().count(candidate.name) ||
               LacksCores<typename Call::Value>(candidate.name),
           std::string("test_cuda_conv: no case tests ") + candidate.name);
  }
}

enum Use { kScale = 1, kShift = 2, kInner = 4, kResidual = 8, kOuter = 16 };

// Launches every implementation that can do a call, and expects that `result`
// becomes what is wanted. It begins as `before`.
template <typename Call, typename Value>
void TestCandidates(const Call& call, const Device<Value>& result,
                    const std::vector<RealOf<Value>>& before,
                    const std::vector<RealOf<Value>>& want,
                    const std::string& where) {
  for (const auto& candidate : p3d::cuda::All<Call>()) {
    if (!candidate.can(call)) continue;
    result.Set(As<Value>(before));
    candidate.launch(nullptr, call);
    Expect(result.values() == As<Value>(want), where + ", " + candidate.name);
    Met<Call>().insert(candidate.name);
  }
}

template <typename Value>
struct Problem {
  using Dtype = RealOf<Value>;

  explicit Problem(const std::string& text)
      : where("test_cuda_conv \"" + text + "\", " + Kind<Value>()),
        shape(testing::Parse(text)),
        in(BlobStrides::ChannelsLast(shape.channels, shape.in_sizes())),
        out(BlobStrides::ChannelsLast(shape.num_output, shape.out_sizes())),
        x(Values<Dtype>(shape.num * shape.in_pixels() * shape.channels, 1)),
        weights(Values<Dtype>(shape.weight_count(), 2)),
        y(Values<Dtype>(shape.num * shape.out_pixels() * shape.num_output, 3)) {
  }

  // From Caffe's order, (o, i, taps), to that of the GPU, (o, taps, i).
  std::vector<Dtype> Turned(const std::vector<Dtype>& weights) const {
    std::vector<Dtype> turned(weights.size());
    p3d::ToChannelsLast(
        {shape.num_output, shape.channels / shape.group, shape.taps()},
        weights.data(), turned.data());
    return turned;
  }

  std::string where;
  ConvShape shape;
  BlobStrides in, out;
  std::vector<Dtype> x, weights, y;
};

// An epilogue that does what `use` says.
template <typename Value>
void TestForward(const Problem<Value>& problem, int use) {
  using Dtype = RealOf<Value>;
  const ConvShape& shape = problem.shape;
  const int64_t outputs = shape.num_output;
  const auto scale = Values<Dtype>(outputs, 4),
             shift = Values<Dtype>(outputs, 5);
  const Device<Value> x(As<Value>(problem.x)),
      weights(As<Value>(problem.Turned(problem.weights))),
      residual(As<Value>(problem.y)), y(problem.y.size());
  const Device<Dtype> d_scale(scale), d_shift(shift),
      scratch(p3d::cuda::ConvolveScratch(shape));
  p3d::Epilogue<Value> e;
  if (use & kScale) e.scale = d_scale.get();
  if (use & kShift) e.shift = d_shift.get();
  e.inner_relu = use & kInner;
  e.outer_relu = use & kOuter;
  if (use & kResidual) e.residual = residual.get();
  if (use & kResidual) e.alpha = .5f, e.beta = -2.f;
  std::vector<Dtype> want(problem.y.size());
  p3d::ConvReference(shape, problem.in, problem.x.data(),
                     problem.weights.data(), problem.out, want.data());
  for (size_t i = 0; i < want.size(); ++i) {
    Dtype& v = want[i];
    if (use & kScale) v *= scale[i % outputs];
    if (use & kShift) v += shift[i % outputs];
    if (use & kInner) v = std::max<Dtype>(v, 0);
    if (use & kResidual) v = v / 2 - 2 * problem.y[i];
    if (use & kOuter) v = std::max<Dtype>(v, 0);
  }
  const std::string where = problem.where + ", epilogue " + std::to_string(use);
  p3d::cuda::ForwardCall<Value> call = {shape, x.get(), weights.get(),
                                        e,     y.get(), scratch.get()};
  TestCandidates(call, y, Blank<Dtype>(want.size()), want, where);
  if (!e.residual) return;
  call.epilogue.residual = y.get();
  TestCandidates(call, y, problem.y, want, where + " in place");
  call.scratch = nullptr;
  TestCandidates(call, y, problem.y, want, where + " in one piece");
}

template <typename Value>
void TestGradients(const Problem<Value>& problem, bool add) {
  using Dtype = RealOf<Value>;
  const ConvShape& shape = problem.shape;
  const std::string where = problem.where + (add ? ", added" : "");
  const Device<Value> x(As<Value>(problem.x)), dy(As<Value>(problem.y)),
      weights(As<Value>(problem.Turned(problem.weights))), dx(problem.x.size());
  const Device<Dtype> dw(problem.weights.size()),
      scratch_dx(p3d::cuda::ConvDataGradientScratch(shape)),
      scratch(p3d::cuda::ConvWeightGradientScratch(shape));

  std::vector<Dtype> want_dx(problem.x);
  p3d::ConvDataGradientReference(shape, problem.out, problem.y.data(),
                                 problem.weights.data(), problem.in,
                                 want_dx.data(), add);
  TestCandidates(
      p3d::cuda::DataGradientCall<Value>{shape, dy.get(), weights.get(), add,
                                         dx.get(), scratch_dx.get()},
      dx, add ? problem.x : Blank<Dtype>(want_dx.size()), want_dx,
      where + ": gradient of the input");

  std::vector<Dtype> want_dw(problem.weights.size());
  if (add) want_dw = problem.weights;
  p3d::ConvWeightGradientReference(shape, problem.out, problem.y.data(),
                                   problem.in, problem.x.data(),
                                   want_dw.data());
  TestCandidates(
      p3d::cuda::WeightGradientCall<Value>{shape, dy.get(), x.get(),
                                           scratch.get(), add, dw.get()},
      dw, add ? problem.Turned(problem.weights) : Blank<Dtype>(want_dw.size()),
      problem.Turned(want_dw), where + ": gradient of the weights");
}

// Quickly: with one epilogue alone, and gradients that are added.
template <typename Value>
void TestType(const std::string& text, int use, bool quick) {
  const Problem<Value> problem(text);
  TestForward(problem, use);
  TestGradients(problem, true);
  if (quick) return;
  TestForward(problem, 0);
  TestGradients(problem, false);
}

// How many slices the output and the gradient of the input have.
struct SliceCounts {
  int64_t forward, data_gradient;
};
template <typename Value>
SliceCounts CountSlices(const ConvShape& shape) {
  if (std::is_same<Value, RealOf<Value>>::value) {
    return {p3d::cuda::ForwardSlices(shape).count,
            p3d::cuda::DataGradientSlices(shape).count};
  }
  return {p3d::cuda::ForwardMmaSlices(shape),
          p3d::cuda::DataGradientMmaSlices(shape)};
}

template <typename Value>
void TestSliced(const std::string& text, int use) {
  const Problem<Value> problem(text);
  const SliceCounts slices = CountSlices<Value>(problem.shape);
  Expect(slices.forward > 1 || slices.data_gradient > 1,
         problem.where + ": is not cut into slices");
  TestForward(problem, use);
  TestGradients(problem, use % 2 == 0);
}

void ExpectClose(const Device<float>& got, const std::vector<float>& want,
                 const std::string& where) {
  const std::vector<float> values = got.values();
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::fabs(values[i] / want[i] - 1);
    worst = error <= worst ? worst : error;  // keeps NaN
  }
  Expect(worst < 1e-5, where + ": relative error " + std::to_string(worst));
}

// Sums of many values, all above zero, lose no digits.
void TestDigits(const std::string& text) {
  Problem<float> problem(text);
  const ConvShape& shape = problem.shape;
  for (auto* values : {&problem.x, &problem.weights, &problem.y}) {
    for (float& value : *values) value = std::fabs(value) + 0.3f;
  }
  const Device<float> x(problem.x), weights(problem.Turned(problem.weights)),
      dy(problem.y), y(problem.y.size()), dx(problem.x.size()),
      dw(problem.weights.size()), scratch_y(p3d::cuda::ConvolveScratch(shape)),
      scratch_dx(p3d::cuda::ConvDataGradientScratch(shape)),
      scratch(p3d::cuda::ConvWeightGradientScratch(shape));

  std::vector<float> want(problem.y.size());
  p3d::ConvReference(shape, problem.in, problem.x.data(),
                     problem.weights.data(), problem.out, want.data());
  p3d::cuda::Convolve<float>(nullptr, shape, x.get(), weights.get(), {},
                             scratch_y.get(), y.get());
  ExpectClose(y, want, problem.where);

  want.resize(problem.x.size());
  p3d::ConvDataGradientReference(shape, problem.out, problem.y.data(),
                                 problem.weights.data(), problem.in,
                                 want.data());
  p3d::cuda::ConvDataGradient(nullptr, shape, dy.get(), weights.get(),
                              scratch_dx.get(), false, dx.get());
  ExpectClose(dx, want, problem.where + ": gradient of the input");

  want.assign(problem.weights.size(), 0);
  p3d::ConvWeightGradientReference(shape, problem.out, problem.y.data(),
                                   problem.in, problem.x.data(), want.data());
  p3d::cuda::ConvWeightGradient(nullptr, shape, dy.get(), x.get(),
                                scratch.get(), false, dw.get());
  ExpectClose(dw, problem.Turned(want),
              problem.where + ": gradient of the weights");
}

template <typename Value>
void ExpectAllOfKindMet() {
  ExpectAllMet<p3d::cuda::ForwardCall<Value>>();
  ExpectAllMet<p3d::cuda::DataGradientCall<Value>>();
  ExpectAllMet<p3d::cuda::WeightGradientCall<Value>>();
}

struct Choice {
  const char *text, *forward, *data_gradient, *weight_gradient;
};

template <typename Value>
void TestChoice(const Choice& choice) {
  const ConvShape shape = testing::Parse(choice.text);
  const auto expect = [&](const std::string& chosen, std::string want) {
    if (LacksCores<Value>(want)) return;
    if (p3d::cuda::HasWgmma() && p3d::BytesOf(p3d::KindOf<Value>()) == 2 &&
        (want == "mma_64x64" || want == "mma_128x64" || want == "mma_128x128"))
      want = "wg" + want;  // by groups of warps
    Expect(chosen == want, std::string("test_cuda_conv: \"") + choice.text +
                               "\", " + Kind<Value>() + ", is done by " +
                               chosen + " instead of " + want);
  };
  const p3d::cuda::ForwardCall<Value> forward = {shape, nullptr, nullptr,
                                                 {},    nullptr, nullptr};
  expect(p3d::cuda::Chosen(forward).name, choice.forward);
  const p3d::cuda::DataGradientCall<Value> data = {shape, nullptr, nullptr,
                                                   false, nullptr, nullptr};
  expect(p3d::cuda::Chosen(data).name, choice.data_gradient);
  const p3d::cuda::WeightGradientCall<Value> weight = {
      shape, nullptr, nullptr, nullptr, false, nullptr};
  expect(p3d::cuda::Chosen(weight).name, choice.weight_gradient);
}

// What is chosen for layers of P3D-199, and for what tiles cannot do or would
// do slowly.
void TestChoices() {
  const Choice kChoices[] = {
      {"8 3 64 1 zero 16,1,1,1,0,0 160,7,2,1,3,3 160,7,2,1,3,3", "tiles_64",
       "loops", "tiles_64"},
      {"8 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", "tiles_64_fours",
       "tiles_64_fours", "tiles_64_fours"},
      {"8 64 256 1 zero 8,1,1,1,0,0 40,1,1,1,0,0 40,1,1,1,0,0",
       "tiles_128_fours", "tiles_64_fours", "tiles_64_fours"},
      {"32 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1",
       "tiles_64_fours", "tiles_64_fours", "tiles_128_fours"},
      {"1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1", "tiles_32_fours",
       "tiles_32_fours", "tiles_64_fours"},
      {"2 64 64 64 zero 13,3,1,1,1,1", "loops", "loops", "loops"},
      {"1 8 8 1 replicate 9,3,1,1,1,1", "tiles_32_fours", "loops",
       "tiles_32_fours"},
      {"1 8 8 1 zero 2000000000,1,1,1,0,0", "loops", "loops", "loops"},
      {"1 8 8 1 zero 2,1,4294967296,1,0,0", "loops", "loops", "loops"},
  };
  for (const Choice& choice : kChoices) TestChoice<float>(choice);
  const Choice kNarrowChoices[] = {
      {"8 3 64 1 zero 16,1,1,1,0,0 160,7,2,1,3,3 160,7,2,1,3,3",
       "mma_64x64_single", "loops", "mma_64x64_single"},
      {"8 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", "mma_128x64",
       "mma_128x64", "mma_64x64"},
      {"64 64 256 1 zero 8,1,1,1,0,0 40,1,1,1,0,0 40,1,1,1,0,0", "mma_128x128",
       "mma_128x64", "mma_128x64"},
      {"64 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1", "mma_128x64",
       "mma_128x64", "mma_128x128"},
      {"1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1", "mma_64x64", "mma_64x64",
       "mma_128x64"},
      {"2 64 64 64 zero 13,3,1,1,1,1", "loops", "loops", "loops"},
      {"1 8 8 1 replicate 9,3,1,1,1,1", "loops", "loops", "mma_64x64"},
      {"1 8 8 1 zero 64,30,1,1,0,0 9,1,1,1,0,0", "loops", "loops", "mma_64x64"},
      {"1 8 8 1 zero 2000000000,1,1,1,0,0", "loops", "loops", "loops"},
  };
  for (const Choice& choice : kNarrowChoices) {
    TestChoice<Bf16>(choice);
    TestChoice<Fp16>(choice);
  }
  TestChoice<Tf32>(
      {"1 8 8 1 replicate 9,3,1,1,1,1", "floats", "floats", "mma_64x64"});
  TestChoice<Tf32>(
      {"2 4 12 1 zero 9,3,1,1,1,1", "mma_64x64", "floats", "mma_64x64"});
  const ConvShape shape = testing::Parse("1 8 8 1 zero 3,1,1,1,0,0");
  const float* odd = reinterpret_cast<const float*>(sizeof(float));
  const p3d::cuda::ForwardCall<float> call = {shape, odd,     nullptr,
                                              {},    nullptr, nullptr};
  const std::string chosen = p3d::cuda::Chosen(call).name;
  Expect(chosen == "tiles_32",
         "test_cuda_conv: values that are not aligned are read by " + chosen);
  // With memory for what is filled.
  Expect(p3d::cuda::ConvolveName<Bf16>(testing::Parse(kChoices[0].text)) ==
             "conv_bf16_cuda_filled",
         "test_cuda_conv: three channels are not filled");
}

// Into how many slices tensor cores cut layers of P3D-199 for one clip.
void TestSliceCounts() {
  const struct {
    const char* text;
    SliceCounts want;
  } kCounts[] = {
      {"1 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1", {1, 1}},
      {"1 128 128 1 zero 4,1,1,1,0,0 20,3,1,1,1,1 20,3,1,1,1,1", {4, 4}},
      {"1 128 512 1 zero 4,1,1,1,0,0 20,1,1,1,0,0 20,1,1,1,0,0", {1, 1}},
      {"1 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1", {9, 9}},
      {"1 256 1024 1 zero 2,1,1,1,0,0 10,1,1,1,0,0 10,1,1,1,0,0", {1, 4}},
      {"1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1", {18, 18}},
      {"1 8 8 1 zero 2000000000,1,1,1,0,0", {1, 1}},
  };
  for (const auto& count : kCounts) {
    const SliceCounts got = CountSlices<Bf16>(testing::Parse(count.text));
    Expect(got.forward == count.want.forward &&
               got.data_gradient == count.want.data_gradient,
           std::string("test_cuda_conv: \"") + count.text + "\" is cut into " +
               std::to_string(got.forward) + " slices, its gradient into " +
               std::to_string(got.data_gradient));
  }
}

void ExpectRefused(const std::string& text, const std::string& why) {
  testing::ExpectError(
      [&] {
        p3d::cuda::Convolve<float>(nullptr, testing::Parse(text), nullptr,
                                   nullptr, {}, nullptr, nullptr);
      },
      why, "test_cuda_conv \"" + text + "\"");
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = testing::HasFlag(argc, argv, "--quick");
  if (argc > 1 && !quick) {
    for (int use = 0; use < 32; ++use) {
      TestType<float>(argv[1], use, use > 0);
      TestType<double>(argv[1], use, use > 0);
      TestType<Bf16>(argv[1], use, use > 0);
      TestType<Fp16>(argv[1], use, use > 0);
      TestType<Tf32>(argv[1], use, use > 0);
    }
    return testing::Finish();
  }
  int use = 0;   // every one is met over the cases
  int turn = 0;  // quickly: each case with one kind of few digits alone
  for (const char* text : kCases) {
    TestType<float>(text, ++use % 32, quick);
    TestType<double>(text, ++use % 32, quick);
    ++turn;
    if (!quick || turn % 3 == 0) TestType<Bf16>(text, ++use % 32, quick);
    if (!quick || turn % 3 == 1) TestType<Fp16>(text, ++use % 32, quick);
    if (!quick || turn % 3 == 2) TestType<Tf32>(text, ++use % 32, quick);
  }
  use = 31;
  for (int round = quick ? 6 : 0; round < 7; ++round) {
    for (const char* text : kSliced) {
      TestSliced<float>(text, use);
      TestSliced<double>(text, use);
      use = (use + 1) % 32;
    }
    for (const char* text : kMmaSliced) {
      ++turn;
      if (turn % 3 == 0) TestSliced<Bf16>(text, turn % 32);
      if (turn % 3 == 1) TestSliced<Fp16>(text, turn % 32);
      if (turn % 3 == 2) TestSliced<Tf32>(text, turn % 32);
    }
  }
  ExpectAllOfKindMet<float>();
  ExpectAllOfKindMet<double>();
  ExpectAllOfKindMet<Bf16>();
  ExpectAllOfKindMet<Fp16>();
  ExpectAllOfKindMet<Tf32>();
  TestChoices();
  TestSliceCounts();
  if (!quick) {
    TestDigits("1 60000 8 1 zero 1,1,1,1,0,0");
    TestDigits("1 8 60000 1 zero 1,1,1,1,0,0");
    TestDigits("1 8 8 1 zero 60000,1,1,1,0,0");
  }
  const std::string axis = " 2,1,1,1,0,0";
  ExpectRefused("1 1 1 1 zero" + axis + axis + axis + axis,
                "up to 3 spatial axes, not 4");
  ExpectRefused("1 1 1 1 zero 2,5,1,1,0,0", "5");
  return testing::Finish();
}
