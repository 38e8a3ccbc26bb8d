// Updates of whole arrays, which compilers make vectors of, against the same
// one by one, and sums of squares against long double.
//
//   test_update [--quick]

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/random.hpp"
#include "kernels/update.hpp"
#include "testing.hpp"

namespace {

using p3d::UpdateRule;
using p3d::UpdateStep;
using testing::Expect;

const int64_t kCounts[] = {1, 2, 7, 8, 9, 37, 16383, 16384, 16385, 40003};

// What an update reads and writes.
template <typename Dtype>
struct Arrays {
  explicit Arrays(int64_t count) : w(count), g(count), a(count), b(count) {
    p3d::FillGaussian(1, 0, 1, count, w.data());
    p3d::FillGaussian(2, 0, 1, count, g.data());
    p3d::FillUniform(3, 0, 1, count, a.data());
    p3d::FillUniform(4, 0, 1, count, b.data());
  }
  bool Update(const UpdateStep& step, int64_t begin, int64_t end) {
    Dtype* const second =
        p3d::HasSecondMoment(step.rule) ? b.data() + begin : nullptr;
    return p3d::Update(step, end - begin, w.data() + begin, g.data() + begin,
                       a.data() + begin, second);
  }
  bool operator==(const Arrays& other) const {
    return w == other.w && g == other.g && a == other.a && b == other.b;
  }
  std::vector<Dtype> w, g, a, b;
};

UpdateStep StepOf(UpdateRule rule) {
  UpdateStep step;
  step.rule = rule;
  step.gradient_scale = 0.75;
  step.decay = 5e-4;
  step.shrink = 1e-5;
  step.gain = 0.01;
  step.momentum = 0.9;
  step.decay2 = 0.999;
  step.delta = 1e-3;
  return step;
}

template <typename Dtype>
void TestUpdate(UpdateRule rule, bool l1, int64_t count) {
  UpdateStep step = StepOf(rule);
  step.l1 = l1;
  const std::string name = "rule " + std::to_string(static_cast<int>(rule)) +
                           (l1 ? " l1" : "") + " count " +
                           std::to_string(count) + " bytes " +
                           std::to_string(sizeof(Dtype));
  Arrays<Dtype> all(count), alone(count);
  Expect(all.Update(step, 0, count), name + ": weights are not finite");
  for (int64_t i = 0; i < count; ++i) alone.Update(step, i, i + 1);
  Expect(all == alone, name + ": not what it is one by one");

  for (int64_t i : {int64_t{0}, count / 2, count - 1}) {
    for (Dtype bad : {std::numeric_limits<Dtype>::infinity(),
                      std::numeric_limits<Dtype>::quiet_NaN()}) {
      Arrays<Dtype> broken(count);
      broken.w[i] = bad;
      Expect(!broken.Update(step, 0, count), name + ": " + std::to_string(bad) +
                                                 " at " + std::to_string(i) +
                                                 " is not seen");
    }
  }
}

template <typename Dtype>
void TestSumOfSquares(int64_t count) {
  const std::string name = "squares of " + std::to_string(count) + " of " +
                           std::to_string(sizeof(Dtype)) + " bytes";
  std::vector<Dtype> x(count);
  p3d::FillGaussian(5, 1, 2, count, x.data());
  long double right = 0;
  for (Dtype value : x) right += static_cast<long double>(value) * value;
  p3d::SetNumThreads(1);
  const double sum = p3d::SumOfSquares(count, x.data());
  p3d::SetNumThreads(3);
  Expect(p3d::SumOfSquares(count, x.data()) == sum,
         name + ": threads change the sum");
  Expect(std::fabs(static_cast<double>(sum - right)) <=
             1e-13 * static_cast<double>(right),
         name + ": " + std::to_string(sum) + " instead of " +
             std::to_string(static_cast<double>(right)));
  for (int64_t i : {int64_t{0}, count / 2, count - 1}) {
    std::vector<Dtype> broken = x;
    broken[i] = std::numeric_limits<Dtype>::quiet_NaN();
    Expect(std::isnan(p3d::SumOfSquares(count, broken.data())),
           name + ": a NaN at " + std::to_string(i) + " is lost");
  }
}

template <typename Dtype>
void TestAll(bool quick) {
  for (int64_t count : kCounts) {
    if (quick && count > 16385) continue;
    TestSumOfSquares<Dtype>(count);
    for (UpdateRule rule :
         {UpdateRule::kSgd, UpdateRule::kNesterov, UpdateRule::kAdaGrad,
          UpdateRule::kRmsProp, UpdateRule::kAdaDelta, UpdateRule::kAdam}) {
      for (bool l1 : {false, true}) TestUpdate<Dtype>(rule, l1, count);
    }
  }
  Expect(p3d::SumOfSquares<Dtype>(0, nullptr) == 0, "squares of nothing");
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = testing::HasFlag(argc, argv, "--quick");
  TestAll<float>(quick);
  TestAll<double>(quick);
  return testing::Finish();
}
