// The kernel of top_k.cu against that of top_k.cpp; see device.hpp for what
// this tests where.
//
//   test_cuda_top_k ["outer channels inner"]

#include <algorithm>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/top_k.hpp"
#include "kernels/top_k_cuda.hpp"
#include "near.hpp"
#include "testing.hpp"

namespace {

using p3d::AxisView;
using p3d::RealOf;
using testing::Device;
using testing::ExpectSame;
using testing::Gaussian;
using testing::Real;

const char* const kCases[] = {"1 1 1",   "2 5 1",   "3 7 11",  "1 1000 1",
                              "5 101 1", "2 3 300", "70 13 2", "1 2 9000"};

// Few different ones, infinite ones and those that are no numbers among them.
template <typename Value>
std::vector<Value> Numbers(int64_t count) {
  std::vector<Value> values = Gaussian<Value>(1, count);
  for (int64_t i = 0; i < count; i += 2)
    values[i] = static_cast<float>(i % 5 - 2);
  for (int64_t i = 3; i < count; i += 11)
    values[i] = std::numeric_limits<float>::quiet_NaN();
  for (int64_t i = 5; i < count; i += 13)
    values[i] = std::numeric_limits<float>::infinity() * (i % 2 ? 1 : -1);
  return values;
}

template <typename Value>
void TestType(const std::string& text) {
  using Dtype = RealOf<Value>;
  AxisView view;
  std::istringstream(text) >> view.outer >> view.channels >> view.inner;
  const auto x = Numbers<Value>(view.count());
  const Device<Value> d_x(x);
  const Device<int64_t> scratch(view.outer * view.inner);
  for (int64_t k : {int64_t{1}, std::min<int64_t>(view.channels, 5)}) {
    const std::string where = "test_cuda_top_k \"" + text + "\", values of " +
                              std::to_string(8 * sizeof(Value)) +
                              " bits, k = " + std::to_string(k) + ": ";
    const int64_t stride = k * view.inner + 1;
    const std::vector<Dtype> blank(view.outer * stride, Dtype(-7));
    std::vector<Dtype> want = blank, values = blank;
    const Device<Dtype> found(blank), largest(blank);
    p3d::TopK(view, k, stride, Real(x).data(), want.data(), values.data());
    p3d::cuda::TopK(nullptr, view, k, stride, d_x.get(), scratch.get(),
                    found.get(), largest.get());
    ExpectSame(found.values(), want, where + "places");
    const auto numbers = [](std::vector<Dtype> all) {  // NaN has many forms
      for (Dtype& value : all) value = value == value ? value : Dtype(-8);
      return all;
    };
    ExpectSame(numbers(largest.values()), numbers(values), where + "values");
    p3d::cuda::TopK<Value>(nullptr, view, k, stride, d_x.get(), scratch.get(),
                           nullptr, found.get());
    ExpectSame(numbers(found.values()), numbers(values), where + "those alone");
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestType<p3d::Bf16>,
                     TestType<p3d::Fp16>});
  testing::ExpectError(
      [] {
        p3d::cuda::TopK<float>(nullptr, {1, 100, 1}, 65, 65, nullptr, nullptr,
                               nullptr, nullptr);
      },
      "up to 64 values, not 65", "test_cuda_top_k: 65 values");
  return testing::Finish();
}
