// The losses of losses.cu and the hits of accuracy.cu against those of the .cpp
// files; see device.hpp for what this tests where.
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
#include "kernels/accuracy_cuda.hpp"
#include "kernels/losses.hpp"
#include "kernels/losses_cuda.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace {

using p3d::AxisView;
using p3d::Labels;
using testing::Device;
using testing::Expect;

const char* const kCases[] = {"1 1 1",   "3 2 1",    "1 5 7",   "64 400 1",
                              "2 3 129", "257 11 1", "300 7 3", "129 2 257"};

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

// From -3 to 3 in steps of 1/8, so that many are equal, some on the edge of a
// hinge.
template <typename Dtype>
std::vector<Dtype> Scores(int64_t count, int seed) {
  p3d::Random random(seed);
  std::vector<Dtype> values(count);
  for (Dtype& value : values) {
    value = static_cast<Dtype>((random.Next() % 49 - 24.) / 8);
  }
  return values;
}

// Sums in double, in another order: that loses 1e-15 of the sum at most for
// each value. Nothing is written behind the parts.
template <typename AnyLabels, typename Launch>
void ExpectLoss(const std::string& what, int64_t count, const AnyLabels& labels,
                const p3d::LossSum& want, const Launch& launch) {
  const int64_t size = p3d::cuda::LossParts(count);
  const Device<p3d::cuda::LabelledSum> device(size + 1);
  launch(device.get());
  std::vector<p3d::cuda::LabelledSum> parts = device.values();
  Expect(std::isnan(parts[size].sum), what + " writes behind its parts");
  parts.resize(size);
  const p3d::LossSum got = p3d::cuda::FinishLoss(labels, parts);
  Expect(got.valid == want.valid, what + ": losses that count");
  Expect(std::fabs(got.sum - want.sum) <= 1e-12 * std::fabs(want.sum),
         what + " is " + std::to_string(got.sum) + " instead of " +
             std::to_string(want.sum));
}

// A gradient of at most `most` is a few operations in double, rounded once;
// GPUs may round it differently.
template <typename Dtype, typename Host, typename Launch>
void ExpectGradient(const std::string& what, int64_t count, double most,
                    const Host& host, const Launch& launch) {
  std::vector<Dtype> want(count);
  host(want.data());
  const Device<Dtype> device(count);
  launch(device.get());
  const std::vector<Dtype> got = device.values();
  const double tolerance = most * std::numeric_limits<Dtype>::epsilon();
  bool near = true;
  for (int64_t i = 0; i < count; ++i) {
    near = near && std::fabs(got[i] - want[i]) <= tolerance;
  }
  Expect(near, what);
}

// Of values with many ties and a NaN.
template <typename Dtype>
void TestHits(const std::string& where, const AxisView& view,
              const Labels<Dtype>& labels, const Labels<Dtype>& device) {
  std::vector<Dtype> score = Scores<Dtype>(view.count(), 7);
  score.back() = std::numeric_limits<Dtype>::quiet_NaN();
  const Device<Dtype> d_score(score);
  for (int64_t top_k : {1, 2, 5}) {
    if (top_k > view.channels) continue;
    const p3d::Hits want = p3d::CountHits(view, score.data(), labels, top_k);
    const Device<p3d::cuda::LabelledSum> classes(view.channels);
    p3d::cuda::CountHits(nullptr, view, d_score.get(), device, top_k,
                         classes.get());
    const p3d::Hits got = p3d::cuda::FinishHits(device, classes.values());
    Expect(got.all == want.all && got.found == want.found,
           where + "CountHits with top_k " + std::to_string(top_k));
  }
}

template <typename Dtype>
void TestHinge(const std::string& where, const AxisView& view, bool squared) {
  const int64_t rows = view.outer * view.inner;
  const auto x = Scores<Dtype>(view.count(), 11),
             values = Classes<Dtype>(rows, view.channels);
  const Device<Dtype> d_x(x), d_values(values);
  const Labels<Dtype> labels = {values.data(), view.channels},
                      device = {d_values.get(), view.channels};
  ExpectLoss(where + "HingeLoss", view.count(), device,
             p3d::HingeLoss(rows, x.data(), labels, squared),
             [&](p3d::cuda::LabelledSum* parts) {
               p3d::cuda::HingeLoss(nullptr, rows, d_x.get(), device, squared,
                                    parts);
             });
  ExpectGradient<Dtype>(
      where + "HingeLossBackward", view.count(), 8,
      [&](Dtype* dx) {
        p3d::HingeLossBackward(rows, x.data(), labels, squared, 0.3, dx);
      },
      [&](Dtype* dx) {
        p3d::cuda::HingeLossBackward(nullptr, rows, d_x.get(), device, squared,
                                     0.3, dx);
      });
}

// Losses of values beside targets. Targets are cut off: -0.5 is left out where
// 0 is.
template <typename Dtype>
void TestTargets(const std::string& where, int64_t count, bool has_ignore,
                 int64_t ignore) {
  const auto x = Scores<Dtype>(count, 13), target = Scores<Dtype>(count, 17);
  const Device<Dtype> d_x(x), d_target(target);
  ExpectLoss(where + "SigmoidCrossEntropyLoss", count, Labels<Dtype>(),
             p3d::SigmoidCrossEntropyLoss(count, x.data(), target.data(),
                                          has_ignore, ignore),
             [&](p3d::cuda::LabelledSum* parts) {
               p3d::cuda::SigmoidCrossEntropyLoss(nullptr, count, d_x.get(),
                                                  d_target.get(), has_ignore,
                                                  ignore, parts);
             });
  ExpectGradient<Dtype>(
      where + "SigmoidCrossEntropyBackward", count, 4,
      [&](Dtype* dx) {
        p3d::SigmoidCrossEntropyBackward(count, x.data(), target.data(),
                                         has_ignore, ignore, 0.3, dx);
      },
      [&](Dtype* dx) {
        p3d::cuda::SigmoidCrossEntropyBackward(nullptr, count, d_x.get(),
                                               d_target.get(), has_ignore,
                                               ignore, 0.3, dx);
      });
  ExpectLoss(where + "SquaredDistance", count, Labels<Dtype>(),
             p3d::SquaredDistance(count, x.data(), target.data()),
             [&](p3d::cuda::LabelledSum* parts) {
               p3d::cuda::SquaredDistance(nullptr, count, d_x.get(),
                                          d_target.get(), parts);
             });
  ExpectGradient<Dtype>(
      where + "SquaredDistanceBackward", count, 4,
      [&](Dtype* dx) {
        p3d::SquaredDistanceBackward(count, x.data(), target.data(), -0.3, dx);
      },
      [&](Dtype* dx) {
        p3d::cuda::SquaredDistanceBackward(nullptr, count, d_x.get(),
                                           d_target.get(), -0.3, dx);
      });
}

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
  ExpectLoss(where + "LogLoss", view.outer * view.inner, device,
             p3d::LogLoss(view, prob.data(), labels, least),
             [&](p3d::cuda::LabelledSum* parts) {
               p3d::cuda::LogLoss(nullptr, view, d_prob.get(), device, least,
                                  parts);
             });
  ExpectGradient<Dtype>(
      where + "LogLossBackward", view.count(), 1000,
      [&](Dtype* dx) {
        p3d::LogLossBackward(view, prob.data(), labels, Dtype(0.01), 0.3, dx);
      },
      [&](Dtype* dx) {
        p3d::cuda::LogLossBackward(nullptr, view, d_prob.get(), device,
                                   Dtype(0.01), 0.3, dx);
      });
  TestHits(where, view, labels, device);

  ExpectGradient<Dtype>(
      where + "SoftmaxLossBackward", view.count(), 1,
      [&](Dtype* to) {
        p3d::SoftmaxLossBackward(view, prob.data(), labels, 0.3, to);
      },
      [&](Dtype* to) {
        p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 0.3,
                                       to);
      });
  p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 0.3,
                                 dx.get());
  p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 0.3,
                                 d_prob.get());
  Expect(d_prob.values() == dx.values(),
         where + "SoftmaxLossBackward in place");
}

// By a matrix of positive gains, whose sum loses nothing.
template <typename Dtype>
void TestInfogain(const std::string& where, const AxisView& view,
                  bool has_ignore) {
  const auto prob = Probabilities<Dtype>(view.count()),
             matrix = Probabilities<Dtype>(view.channels * view.channels),
             values = Classes<Dtype>(view.outer * view.inner, view.channels);
  const Device<Dtype> d_prob(prob), d_matrix(matrix), d_values(values);
  Labels<Dtype> labels = {values.data(), view.channels, has_ignore,
                          view.channels / 2};
  Labels<Dtype> device = labels;
  device.values = d_values.get();
  const Dtype least = static_cast<Dtype>(1e-20);
  ExpectLoss(where + "InfogainLoss", view.count(), device,
             p3d::InfogainLoss(view, prob.data(), labels, matrix.data(), least),
             [&](p3d::cuda::LabelledSum* parts) {
               p3d::cuda::InfogainLoss(nullptr, view, d_prob.get(), device,
                                       d_matrix.get(), least, parts);
             });
  ExpectGradient<Dtype>(
      where + "SoftmaxInfogainBackward", view.count(), 400,
      [&](Dtype* dx) {
        p3d::SoftmaxInfogainBackward(view, prob.data(), labels, matrix.data(),
                                     0.3, dx);
      },
      [&](Dtype* dx) {
        p3d::cuda::SoftmaxInfogainBackward(nullptr, view, d_prob.get(), device,
                                           d_matrix.get(), 0.3, dx);
      });
}

// Of vectors as long as view.channels * view.inner, some of them equal.
template <typename Dtype>
void TestPairs(const std::string& where, const AxisView& view,
               const p3d::ContrastiveRule& rule) {
  const int64_t rows = view.outer, width = view.channels * view.inner;
  const auto a = Scores<Dtype>(view.count(), 19),
             similar = Classes<Dtype>(rows, 2);
  auto b = Scores<Dtype>(view.count(), 23);
  for (int64_t r = 2; r < rows; r += 5) {
    std::copy_n(&a[r * width], width, &b[r * width]);
  }
  const Device<Dtype> d_a(a), d_b(b), d_similar(similar);
  const p3d::PairLabels<Dtype> labels = {similar.data()},
                               device = {d_similar.get()};
  ExpectLoss(
      where + "ContrastiveLoss", rows, device,
      p3d::ContrastiveLoss(rows, width, a.data(), b.data(), labels, rule),
      [&](p3d::cuda::LabelledSum* parts) {
        p3d::cuda::ContrastiveLoss(nullptr, rows, width, d_a.get(), d_b.get(),
                                   device, rule, parts);
      });
  ExpectGradient<Dtype>(
      where + "ContrastiveLossBackward", view.count(), 4,
      [&](Dtype* dx) {
        p3d::ContrastiveLossBackward(rows, width, a.data(), b.data(), labels,
                                     rule, -0.3, dx);
      },
      [&](Dtype* dx) {
        p3d::cuda::ContrastiveLossBackward(nullptr, rows, width, d_a.get(),
                                           d_b.get(), device, rule, -0.3, dx);
      });
}

template <typename Dtype>
void TestType(const std::string& text) {
  AxisView view;
  std::istringstream(text) >> view.outer >> view.channels >> view.inner;
  const std::string where = "test_cuda_losses \"" + text + "\"" +
                            (sizeof(Dtype) == 4 ? ", float: " : ", double: ");
  TestLabels<Dtype>(where, view, false);
  TestLabels<Dtype>(where + "with ignored labels: ", view, true);
  TestHinge<Dtype>(where, view, false);
  TestHinge<Dtype>(where + "squared: ", view, true);
  TestInfogain<Dtype>(where, view, false);
  TestInfogain<Dtype>(where + "with ignored labels: ", view, true);
  const double margin = 0.7 * std::sqrt(9. * view.channels * view.inner);
  TestPairs<Dtype>(where, view, {margin, false});
  TestPairs<Dtype>(where + "legacy: ", view, {margin * margin, true});
  TestTargets<Dtype>(where, view.count(), false, 0);
  TestTargets<Dtype>(where + "without targets of 0: ", view.count(), true, 0);
  TestTargets<Dtype>(where + "without targets of -2: ", view.count(), true, -2);
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
  const AxisView view = {700, 30, 1};
  const std::vector<float> prob(view.count(), 0.5f);
  const Device<float> d_prob(prob), dx(prob.size());
  for (float wrong :
       {30.f, -1.f, 1e30f, 2.5e9f, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(view.outer, 2.75f);
    values[300] = values[560] = wrong;
    values[303] = 70;
    const Device<float> d_values(values);
    const Labels<float> labels = {values.data(), view.channels},
                        device = {d_values.get(), view.channels};
    const std::string where =
        "test_cuda_losses: label " + std::to_string(wrong);
    const std::string error = ErrorOf(labels, view, prob);
    const Device<p3d::cuda::LabelledSum> loss(1), classes(view.channels),
        hinge(p3d::cuda::LossParts(view.count()));
    p3d::cuda::LogLoss(nullptr, view, d_prob.get(), device, 1e-20f, loss.get());
    p3d::cuda::HingeLoss(nullptr, view.outer, d_prob.get(), device, false,
                         hinge.get());
    p3d::cuda::CountHits(nullptr, view, d_prob.get(), device, 1, classes.get());
    Expect(loss.values()[0].valid == 697, where + " does not count");
    for (const auto* sums : {&loss, &hinge, &classes}) {
      testing::ExpectError(
          [&] { p3d::cuda::FinishLoss(device, sums->values()); }, error, where);
    }
    p3d::cuda::SoftmaxLossBackward(nullptr, view, d_prob.get(), device, 1.,
                                   dx.get());
    Expect(dx.values()[9000] == 0 && dx.values()[9002] == 0,
           where + " has no gradient");
    Expect(dx.values()[9032] == -0.5f, where + " beside others");
    p3d::cuda::LogLossBackward(nullptr, view, d_prob.get(), device, 1e-20f, 1.,
                               dx.get());
    Expect(dx.values()[9000] == 0 && dx.values()[9002] == 0,
           where + " has no gradient of LogLoss");
    Expect(dx.values()[9032] == -2, where + " beside others, of LogLoss");
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases, {TestType<float>, TestType<double>});
  TestWrongLabels();
  return testing::Finish();
}
