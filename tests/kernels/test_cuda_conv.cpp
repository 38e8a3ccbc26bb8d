// The convolution of conv.cu and its gradients against those of
// conv_reference.cpp; see device.hpp for what this tests where. All values are
// small integers over a power of two, so that results are the same to the bit.
//
//   test_cuda_conv ["case"]
//
// Cases are written as in conv_cases.hpp.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "conv_cases.hpp"
#include "device.hpp"
#include "kernels/conv.cu"
#include "kernels/conv_reference.hpp"
#include "kernels/order.hpp"
#include "testing.hpp"

namespace {

using p3d::BlobStrides;
using p3d::ConvShape;
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
};

template <typename Dtype>
std::vector<Dtype> Values(int64_t count, int limit, uint32_t seed) {
  std::vector<float> values(count);
  testing::Fill(values.data(), count, limit, 0.125f, seed);
  return std::vector<Dtype>(values.begin(), values.end());
}

enum Use { kScale = 1, kShift = 2, kInner = 4, kResidual = 8, kOuter = 16 };

template <typename Dtype>
struct Problem {
  explicit Problem(const std::string& text)
      : where("test_cuda_conv \"" + text + "\"" +
              (sizeof(Dtype) == 4 ? ", float" : ", double")),
        shape(testing::Parse(text)),
        in(BlobStrides::ChannelsLast(shape.channels, shape.in_sizes())),
        out(BlobStrides::ChannelsLast(shape.num_output, shape.out_sizes())),
        x(Values<Dtype>(shape.num * shape.in_pixels() * shape.channels, 8, 1)),
        weights(Values<Dtype>(shape.weight_count(), 8, 2)),
        y(Values<Dtype>(shape.num * shape.out_pixels() * shape.num_output, 8,
                        3)) {}

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
template <typename Dtype>
void TestForward(const Problem<Dtype>& problem, int use) {
  const ConvShape& shape = problem.shape;
  const int64_t outputs = shape.num_output;
  const auto scale = Values<Dtype>(outputs, 8, 4),
             shift = Values<Dtype>(outputs, 8, 5);
  const Device<Dtype> x(problem.x), weights(problem.Turned(problem.weights)),
      d_scale(scale), d_shift(shift), residual(problem.y), y(problem.y.size());
  p3d::Epilogue<Dtype> e;
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
  const std::string where = problem.where + ": epilogue " + std::to_string(use);
  p3d::cuda::Convolve(nullptr, shape, x.get(), weights.get(), e, y.get());
  Expect(y.values() == want, where);
  if (!e.residual) return;
  p3d::cuda::Convolve(nullptr, shape, x.get(), weights.get(), e,
                      residual.get());
  Expect(residual.values() == want, where + " in place");
}

template <typename Dtype>
void TestGradients(const Problem<Dtype>& problem) {
  const ConvShape& shape = problem.shape;
  const auto& dy = problem.y;
  const Device<Dtype> x(problem.x), d_dy(dy),
      weights(problem.Turned(problem.weights)), dx(problem.x.size()),
      dw(problem.weights.size()),
      scratch(p3d::cuda::ConvWeightGradientScratch(shape));
  std::vector<Dtype> want_dx(problem.x.size()), want_dw(problem.weights.size());
  for (bool add : {false, true}) {
    const std::string where = problem.where + (add ? ", added" : "");
    p3d::ConvDataGradientReference(shape, problem.out, dy.data(),
                                   problem.weights.data(), problem.in,
                                   want_dx.data(), add);
    p3d::cuda::ConvDataGradient(nullptr, shape, d_dy.get(), weights.get(), add,
                                dx.get());
    Expect(dx.values() == want_dx, where + ": gradient of the input");
    p3d::ConvWeightGradientReference(shape, problem.out, dy.data(), problem.in,
                                     problem.x.data(), want_dw.data());
    p3d::cuda::ConvWeightGradient(nullptr, shape, d_dy.get(), x.get(),
                                  scratch.get(), add, dw.get());
    Expect(dw.values() == problem.Turned(want_dw),
           where + ": gradient of the weights");
  }
}

template <typename Dtype>
void TestType(const std::string& text, int use) {
  const Problem<Dtype> problem(text);
  TestForward(problem, 0);
  TestForward(problem, use);
  TestGradients(problem);
}

void ExpectRefused(const std::string& text, const std::string& why) {
  testing::ExpectError(
      [&] {
        p3d::cuda::Convolve<float>(nullptr, testing::Parse(text), nullptr,
                                   nullptr, {}, nullptr);
      },
      why, "test_cuda_conv \"" + text + "\"");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    for (int use = 1; use < 32; ++use) {
      TestType<float>(argv[1], use);
      TestType<double>(argv[1], use);
    }
    return testing::Finish();
  }
  int use = 0;  // every one is met over the cases
  for (const char* text : kCases) {
    TestType<float>(text, ++use % 32);
    TestType<double>(text, ++use % 32);
  }
  const std::string axis = " 2,1,1,1,0,0";
  ExpectRefused("1 1 1 1 zero" + axis + axis + axis + axis,
                "up to 3 spatial axes, not 4");
  ExpectRefused("1 1 1 1 zero 2,5,1,1,0,0", "5");
  return testing::Finish();
}
