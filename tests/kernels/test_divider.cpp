// Divider, of values around every multiple that may be rounded wrongly.

#include <cstdint>
#include <string>

#include "kernels/cuda/divider_cuda.hpp"
#include "testing.hpp"

namespace {

void TestBy(int64_t by) {
  const p3d::cuda::Divider divider(by);
  int64_t wrong = -1;
  const auto test = [&](int64_t value) {
    if (value < 0 || value > INT32_MAX) return;
    if (divider(static_cast<int>(value)) != value / by) wrong = value;
  };
  for (int64_t shift = 0; shift <= 31; ++shift) {
    // Near powers of 2, and near the multiples around them.
    const int64_t power = int64_t{1} << shift, multiple = power / by * by;
    for (int64_t near = -2; near <= 2; ++near) {
      test(power + near);
      test(multiple + near);
      test(multiple + by + near);
    }
  }
  for (int64_t value = 0; value < 1000; ++value) test(value);
  testing::Expect(wrong < 0, "test_divider: " + std::to_string(wrong) + " / " +
                                 std::to_string(by));
}

}  // namespace

int main() {
  for (int64_t by = 1; by < 5000; ++by) TestBy(by);
  for (int64_t shift = 12; shift <= 31; ++shift) {
    for (int64_t near = -3; near <= 3; ++near) {
      const int64_t by = (int64_t{1} << shift) + near;
      if (by <= INT32_MAX) TestBy(by);
    }
  }
  testing::Expect(p3d::cuda::Divider(int64_t{1} << 31).by() == 1,
                  "test_divider: a number that is too large");
  return testing::Finish();
}
