// The losses of losses.cu against those of losses.cpp; see device.hpp for what
// this tests where.
//
//   test_cuda_losses ["outer channels inner"]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/losses.hpp"
#include "kernels/losses_cuda.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace {

using p3d::AxisView;
using p3d::Labels;
using testing::Device;
using testing::Expect;

const char* const kCases[] = {"1 1 1",   "3 2 1",    "1 5 7",  "64 400 1",
                              "2 3 129", "257 11 1", "300 7 3"};

// Between 0 and 1, some so small that they are cut off.
template <typename Dtype>
std::vector<Dtype> Probabilities(int64_t count) {
  p3d::Random random(3);
  std::vector<Dtype> values(count);
  for (Dtype& value : values) {
    const uint64_t bits = random.Next() % 1000;
    value = bits < 50 ? Dtype(0) : static_cast<Dtype>(bits / 1000.0);
  }
  return values;
}

// With broken parts, which do not count.
template <typename Dtype>
std::vector<Dtype> Classes(int64_t count, int64_t classes) {
  p3d::Random random(5);
  std::vector<Dtype> values(count);
  for (Dtype& value : values) {
    value = static_cast<Dtype>(random.Next() % classes + 0.25);
  }
  return values;
}

// Sums in double, in another order: that loses 1e-15 of the sum at most for
// each value. A gradient is one operation in double, rounded once; GPUs may
// round it differently.
template <typename Dtype>
void TestLabels(const std::string& where, const AxisView& view,
                bool has_ignore) {
  const auto prob = Probabilities<Dtype>(view.count()),
             values = Classes<Dtype>(view.outer * view.inner, view.channels);
  const Device<Dtype> d_prob(prob), d_values(values), dx(prob.size());
  Labels<Dtype> labels = {values.data(), view.channels, has_ignore,
                          view.channels / 2};
  Labels<Dtype> device = labels;
  device.values = d_values.get();

  const Dtype least = std::numeric_limits<Dtype>::min();
  const Device<p3d::cuda::LogLossResult> result(1);
  p3d::cuda::LogLoss(nullptr, view, d_prob.get(), device, least, result.get());
  const p3d::LossSum got = p3d::cuda::FinishLoss(device, result.values()[0]),
                     want = p3d::LogLoss(view, prob.data(), labels, least);
  Expect(got.valid == want.valid, where + "labels that count");
  Expect(std::fabs(got.sum - want.sum) <= 1e-12 * std::fabs(want.sum),
         where + "LogLoss is " + std::to_string(got.sum) + " instead of " +
             std::to_string(want.sum));

  std::vector<Dtype> want_dx(prob.size());
  p3d::SoftmaxLossBackward(view, prob.data(), labels, 0.3, want_dx.data());
  p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 0.3,
                                 dx.get());
  const std::vector<Dtype> got_dx = dx.values();
  const double tolerance = std::numeric_limits<Dtype>::epsilon();
  bool near = true;
  for (size_t i = 0; i < want_dx.size(); ++i) {
    near = near && std::fabs(got_dx[i] - want_dx[i]) <= tolerance;
  }
  Expect(near, where + "SoftmaxLossBackward");
  p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 0.3,
                                 d_prob.get());
  Expect(d_prob.values() == got_dx, where + "SoftmaxLossBackward in place");
}

template <typename Dtype>
void TestType(const std::string& text) {
  AxisView view;
  std::istringstream(text) >> view.outer >> view.channels >> view.inner;
  const std::string where = "test_cuda_losses \"" + text + "\"" +
                            (sizeof(Dtype) == 4 ? ", float: " : ", double: ");
  TestLabels<Dtype>(where, view, false);
  TestLabels<Dtype>(where + "with ignored labels: ", view, true);
}

std::string ErrorOf(const Labels<float>& labels, const AxisView& view,
                    const std::vector<float>& prob) {
  try {
    p3d::LogLoss(view, prob.data(), labels, 1e-20f);
  } catch (const p3d::Error& error) {
    return error.what();
  }
  return "no error";
}

// The first label that is no class is told as on the CPU, and no other is lost.
void TestWrongLabels() {
  const AxisView view = {700, 3, 1};
  const std::vector<float> prob(view.count(), 0.5f);
  const Device<float> d_prob(prob), dx(prob.size());
  for (float wrong :
       {3.f, -1.f, 1e30f, 2.5e9f, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(view.outer, 2.75f);
    values[300] = values[560] = wrong;
    values[303] = 7;
    const Device<float> d_values(values);
    const Labels<float> labels = {values.data(), 3},
                        device = {d_values.get(), 3};
    const Device<p3d::cuda::LogLossResult> result(1);
    p3d::cuda::LogLoss(nullptr, view, d_prob.get(), device, 1e-20f,
                       result.get());
    const std::string where =
        "test_cuda_losses: label " + std::to_string(wrong);
    Expect(result.values()[0].valid == 697, where + " does not count");
    testing::ExpectError(
        [&] { p3d::cuda::FinishLoss(device, result.values()[0]); },
        ErrorOf(labels, view, prob), where);
    p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 1.,
                                   dx.get());
    Expect(dx.values()[900] == 0 && dx.values()[902] == 0,
           where + " has no gradient");
    Expect(dx.values()[905] == -0.5f, where + " beside others");
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases, {TestType<float>, TestType<double>});
  TestWrongLabels();
  return testing::Finish();
}
