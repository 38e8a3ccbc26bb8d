// The kernels of im2col.cu against those of im2col.cpp; see device.hpp for what
// this tests where.
//
//   test_cuda_im2col ["planes in kernel stride dilation pad_begin pad_end in
//   ..."]

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/im2col.hpp"
#include "kernels/im2col_cuda.hpp"
#include "near.hpp"
#include "testing.hpp"

namespace {

using p3d::ConvAxis;
using p3d::ConvShape;
using p3d::RealOf;
using testing::Device;
using testing::ExpectSame;
using testing::Gaussian;
using testing::Real;

// Strides beyond kernels, padding beyond both, one value, one tap.
const char* const kCases[] = {"1 1 1 1 1 0 0",
                              "3 7 3 1 1 1 1",
                              "2 9 2 3 1 0 0",
                              "2 9 3 2 2 4 3",
                              "1 1 3 1 1 2 2",
                              "2 5 3 1 1 1 1 6 2 2 1 0 1",
                              "2 3 3 1 1 1 1 5 3 2 1 1 1 6 3 2 1 1 1",
                              "1 4 3 1 2 2 2 7 2 1 3 2 1 9 4 3 1 0 3"};

ConvShape Parse(const std::string& text) {
  std::istringstream stream(text);
  ConvShape shape;
  ConvAxis axis;
  stream >> shape.channels;
  while (stream >> axis.in >> axis.kernel >> axis.stride >> axis.dilation >>
         axis.pad_begin >> axis.pad_end) {
    shape.axes.push_back(axis);
  }
  return shape;
}

template <typename Value>
void TestPadding(const std::string& where, const ConvShape& shape) {
  using Dtype = RealOf<Value>;
  const auto x = Gaussian<Value>(1, shape.channels * shape.in_pixels());
  const auto dy =
      Gaussian<Value>(2, shape.channels * shape.taps() * shape.out_pixels());
  std::vector<Dtype> want(dy.size()), gradient(x.size());
  const Device<Value> d_x(x), d_dy(dy), y(dy.size()), dx(x.size());
  p3d::Im2col(shape, Real(x).data(), want.data());
  p3d::cuda::Im2col(nullptr, shape, d_x.get(), y.get());
  ExpectSame(y.values(), want, where + "Im2col");

  p3d::Im2colBackward(shape, Real(dy).data(), gradient.data());
  p3d::cuda::Im2colBackward(nullptr, shape, d_dy.get(), dx.get());
  ExpectSame(dx.values(), gradient, where + "Im2colBackward");
}

template <typename Value>
void TestType(const std::string& text) {
  ConvShape shape = Parse(text);
  for (p3d::PadMode mode : {p3d::PadMode::kZero, p3d::PadMode::kReplicate}) {
    shape.pad_mode = mode;
    TestPadding<Value>(
        "test_cuda_im2col \"" + text + "\", values of " +
            std::to_string(8 * sizeof(Value)) + " bits" +
            (mode == p3d::PadMode::kZero ? ": " : ", replicated: "),
        shape);
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestType<p3d::Bf16>,
                     TestType<p3d::Fp16>});
  testing::ExpectError(
      [] {
        ConvShape shape;
        shape.axes.resize(4);
        p3d::cuda::Im2col<float>(nullptr, shape, nullptr, nullptr);
      },
      "up to 3 spatial axes, not 4", "test_cuda_im2col: 4 axes");
  return testing::Finish();
}
