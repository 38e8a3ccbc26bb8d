// The convolution of conv.cu and its gradients against those of
// conv_reference.cpp; see device.hpp for what this tests where. All values are
// small integers over a power of two, so that results are the same to the bit.
//
//   test_cuda_conv ["case"]
//
// Cases are written as in conv_cases.hpp.

#include <cstdint>
#include <string>
#include <vector>

#include "conv_cases.hpp"
#include "device.hpp"
#include "kernels/conv.cu"
#include "kernels/conv_reference.hpp"
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
std::vector<Dtype> Values(int64_t count, uint32_t seed) {
  std::vector<float> values(count);
  testing::Fill(values.data(), count, 8, 0.125f, seed);
  return std::vector<Dtype>(values.begin(), values.end());
}

template <typename Dtype>
void TestType(const std::string& text) {
  const ConvShape shape = testing::Parse(text);
  const std::string where = "test_cuda_conv \"" + text + "\"" +
                            (sizeof(Dtype) == 4 ? ", float" : ", double");
  const int64_t out = shape.num * shape.out_pixels() * shape.num_output;
  const auto x =
      Values<Dtype>(shape.num * shape.in_pixels() * shape.channels, 1);
  const auto weights = Values<Dtype>(shape.weight_count(), 2);
  const auto bias = Values<Dtype>(shape.num_output, 3);
  const auto dy = Values<Dtype>(out, 4);
  const auto in_strides =
      BlobStrides::ChannelsLast(shape.channels, shape.in_sizes());
  const auto out_strides =
      BlobStrides::ChannelsLast(shape.num_output, shape.out_sizes());
  const Device<Dtype> d_x(x), d_weights(weights), d_bias(bias), d_dy(dy);
  const Device<Dtype> packed(shape.weight_count()), y(out), dx(x.size());

  std::vector<Dtype> want(out);
  p3d::ConvReference(shape, in_strides, x.data(), weights.data(), out_strides,
                     want.data());
  p3d::cuda::Convolve<Dtype>(nullptr, shape, d_x.get(), d_weights.get(),
                             nullptr, packed.get(), y.get());
  Expect(y.values() == want, where + ": without bias");
  for (int64_t i = 0; i < out; ++i) want[i] += bias[i % shape.num_output];
  p3d::cuda::Convolve(nullptr, shape, d_x.get(), d_weights.get(), d_bias.get(),
                      packed.get(), y.get());
  Expect(y.values() == want, where + ": with bias");

  std::vector<Dtype> want_dx(x.size()), want_dw(weights);
  p3d::ConvDataGradientReference(shape, out_strides, dy.data(), weights.data(),
                                 in_strides, want_dx.data());
  p3d::cuda::ConvDataGradient(nullptr, shape, d_dy.get(), d_weights.get(),
                              dx.get());
  Expect(dx.values() == want_dx, where + ": gradient of the input");
  p3d::ConvWeightGradientReference(shape, out_strides, dy.data(), in_strides,
                                   x.data(), want_dw.data());
  const Device<Dtype> dw(weights);
  p3d::cuda::ConvWeightGradient(nullptr, shape, d_dy.get(), d_x.get(),
                                dw.get());
  Expect(dw.values() == want_dw, where + ": gradient of the weights");
}

void ExpectRefused(const std::string& text, const std::string& why) {
  testing::ExpectError(
      [&] {
        p3d::cuda::Convolve<float>(nullptr, testing::Parse(text), nullptr,
                                   nullptr, nullptr, nullptr, nullptr);
      },
      why, "test_cuda_conv \"" + text + "\"");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    TestType<float>(argv[1]);
    TestType<double>(argv[1]);
    return testing::Finish();
  }
  for (const char* text : kCases) {
    TestType<float>(text);
    TestType<double>(text);
  }
  const std::string axis = " 2,1,1,1,0,0";
  ExpectRefused("1 1 1 1 zero" + axis + axis + axis + axis,
                "up to 3 spatial axes, not 4");
  ExpectRefused("1 1 1 1 zero 2,5,1,1,0,0", "5");
  return testing::Finish();
}
