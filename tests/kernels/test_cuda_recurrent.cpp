// The kernels of recurrent.cu against those of recurrent.cpp; see device.hpp
// for what this tests where.
//
//   test_cuda_recurrent ["streams width"]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/random.hpp"
#include "kernels/recurrent.hpp"
#include "kernels/recurrent_cuda.hpp"
#include "testing.hpp"

namespace {

using testing::Device;
using testing::Expect;

const char* const kCases[] = {"1 1", "3 2", "2 5", "7 33", "300 1", "4 513"};

template <typename Dtype>
std::vector<Dtype> Gaussian(uint64_t seed, int64_t count) {
  std::vector<Dtype> values(count);
  p3d::FillGaussian(seed, 0, 1, count, values.data());
  return values;
}

// Results are a few numbers' sum: GPUs have other exponential functions.
template <typename Dtype>
void ExpectNear(const std::vector<Dtype>& got, const std::vector<Dtype>& want,
                const std::string& message) {
  double error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double distance = std::fabs(static_cast<double>(got[i]) - want[i]);
    error = distance <= error ? error : distance;
  }
  Expect(error <= 32 * std::numeric_limits<Dtype>::epsilon(),
         message + " differs by " + std::to_string(error));
}

// Every third stream begins anew, whatever its past: infinite.
template <typename Dtype>
struct Past {
  Past(int64_t streams, int64_t width)
      : continues(streams, Dtype(1)), h(Gaussian<Dtype>(1, streams * width)) {
    for (int64_t n = 0; n < streams; n += 3) {
      continues[n] = 0;
      std::fill_n(h.begin() + n * width, width,
                  std::numeric_limits<Dtype>::infinity());
    }
    if (streams > 1) continues[1] = static_cast<Dtype>(.5);
  }
  std::vector<Dtype> continues, h;
};

template <typename Dtype>
void TestType(const std::string& text) {
  int64_t streams = 0, width = 0;
  std::istringstream(text) >> streams >> width;
  const std::string where = "test_cuda_recurrent \"" + text + "\", values of " +
                            std::to_string(8 * sizeof(Dtype)) + " bits: ";
  const int64_t count = streams * width;
  const Past<Dtype> past(streams, width);
  const Device<Dtype> d_continues(past.continues), d_past(past.h);
  std::vector<Dtype> want(count);
  const Device<Dtype> got(count);
  p3d::ContinueStates(streams, width, past.continues.data(), past.h.data(),
                      want.data());
  p3d::cuda::ContinueStates(nullptr, streams, width, d_continues.get(),
                            d_past.get(), got.get());
  ExpectNear(got.values(), want, where + "ContinueStates");

  const auto gates = Gaussian<Dtype>(2, 4 * count);
  const Device<Dtype> d_gates(gates), d_c(past.h), d_h(count);
  std::vector<Dtype> c(past.h), h(count);
  p3d::LstmStep(streams, width, c.data(), gates.data(), past.continues.data(),
                c.data(), h.data());
  p3d::cuda::LstmStep(nullptr, streams, width, d_c.get(), d_gates.get(),
                      d_continues.get(), d_c.get(), d_h.get());
  ExpectNear(d_c.values(), c, where + "LstmStep, cells, in place");
  ExpectNear(d_h.values(), h, where + "LstmStep");

  std::vector<Dtype> dc = Gaussian<Dtype>(3, count), dgates(4 * count);
  const auto dh = Gaussian<Dtype>(4, count);
  const Device<Dtype> d_dc(dc), d_dh(dh), d_dgates(4 * count);
  p3d::LstmStepBackward(streams, width, past.h.data(), gates.data(),
                        past.continues.data(), c.data(), dc.data(), dh.data(),
                        dc.data(), dgates.data());
  p3d::cuda::LstmStepBackward(
      nullptr, streams, width, d_past.get(), d_gates.get(), d_continues.get(),
      d_c.get(), d_dc.get(), d_dh.get(), d_dc.get(), d_dgates.get());
  ExpectNear(d_dc.values(), dc, where + "LstmStepBackward, cells, in place");
  ExpectNear(d_dgates.values(), dgates, where + "LstmStepBackward, gates");
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases, {TestType<float>, TestType<double>});
  return testing::Finish();
}
