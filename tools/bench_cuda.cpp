// Times batch normalisation and pooling on the GPU at sizes of P3D-199.
//
//   bench_cuda [num]        clips of 16x160x160 at a time, 8 by default
//
// Compiled by nvcc (-x cu) with bn.cu and pool.cu; tools/gpu_check.py does so.
// Every result is compared with the CPU's before it is timed. Per line: the
// median of the launches, and the bytes that have to move per second.

#include "bench_cuda.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/bn.hpp"
#include "kernels/bn_cuda.hpp"
#include "kernels/pool.hpp"
#include "kernels/pool_cuda.hpp"

namespace {

using bench::Floats;
using bench::Gaussian;
using bench::Report;
using p3d::Geometry;
using p3d::Order;
using testing::Device;

void BenchNormalize(const char* name, const Geometry& g, Order order) {
  const Floats x = Gaussian(1, g.count()), dy = Gaussian(2, g.count()),
               slope(g.channels, 0.5f), bias(g.channels, 0.1f);
  const double eps = 1e-5;
  std::vector<double> mean(g.channels), deviation(g.channels);
  p3d::ChannelStatistics(g, order, x.data(), mean.data(), deviation.data());
  for (double& d : deviation) d = std::sqrt(d + eps);
  Floats y(g.count()), dx(g.count());
  p3d::Normalize(g, order, mean.data(), deviation.data(), slope.data(),
                 bias.data(), x.data(), y.data());
  p3d::NormalizeBackward<float>(g, order, mean.data(), deviation.data(),
                                slope.data(), x.data(), dy.data(), nullptr,
                                nullptr, dx.data());

  const Device<float> d_x(x), d_dy(dy), d_slope(slope), d_bias(bias),
      d_y(g.count()), d_dx(g.count());
  const Device<double> d_mean(mean), d_deviation(deviation),
      scratch(p3d::cuda::BnScratchSize(g, order));
  const double bytes = 4.0 * g.count();
  const std::string title = std::string("bn ") + name +
                            (order == Order::kCaffe ? "" : ", channels last,");
  Report(title + " frozen forward", 2 * bytes, "GB/s", d_y, y, [&] {
    p3d::cuda::Normalize(nullptr, g, order, d_mean.get(), d_deviation.get(),
                         d_slope.get(), d_bias.get(), d_x.get(), scratch.get(),
                         d_y.get());
  });
  Report(title + " training forward", 3 * bytes, "GB/s", d_y, y, [&] {
    p3d::cuda::ChannelStatistics(nullptr, g, order, d_x.get(), scratch.get(),
                                 d_mean.get(), d_deviation.get());
    p3d::cuda::Moments(nullptr, g.channels, eps, d_mean.get(),
                       d_deviation.get(), d_mean.get(), d_deviation.get());
    p3d::cuda::Normalize(nullptr, g, order, d_mean.get(), d_deviation.get(),
                         d_slope.get(), d_bias.get(), d_x.get(), scratch.get(),
                         d_y.get());
  });
  Report(title + " training backward", 5 * bytes, "GB/s", d_dx, dx, [&] {
    p3d::cuda::NormalizeBackward<float>(
        nullptr, g, order, d_mean.get(), d_deviation.get(), d_slope.get(),
        d_x.get(), d_dy.get(), scratch.get(), nullptr, nullptr, d_dx.get());
  });
}

void BenchPool(const char* name, p3d::PoolShape shape) {
  p3d::SetPoolOutputs(p3d::PoolRounding::kCeil, &shape);
  const int64_t planes = shape.num * shape.channels;
  const int64_t in = planes * shape.in_pixels();
  const int64_t out = planes * shape.out_pixels();
  const Floats x = Gaussian(1, in), dy = Gaussian(2, out);
  Floats y(out), mask(out), dx(in);
  p3d::MaxPool(shape, Order::kCaffe, x.data(), y.data(), mask.data());
  p3d::MaskedPoolBackward(shape, Order::kCaffe, mask.data(), dy.data(),
                          dx.data());
  const Device<float> d_x(x), d_dy(dy), d_y(out), d_mask(out), d_dx(in);
  Report(std::string(name) + " max forward", 4.0 * (in + 2 * out), "GB/s", d_y,
         y, [&] {
           p3d::cuda::MaxPool(nullptr, shape, Order::kCaffe, d_x.get(),
                              d_y.get(), d_mask.get());
         });
  Report(std::string(name) + " max backward", 4.0 * (in + 2 * out), "GB/s",
         d_dx, dx, [&] {
           p3d::cuda::MaskedPoolBackward(nullptr, shape, Order::kCaffe,
                                         d_mask.get(), d_dy.get(), d_dx.get());
         });
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t num = argc > 1 ? std::atoll(argv[1]) : 8;
  try {
    for (Order order : {Order::kCaffe, Order::kChannelsLast}) {
      BenchNormalize("conv1", {num, 64, 16 * 80 * 80}, order);
      BenchNormalize("res2_c", {num, 256, 8 * 40 * 40}, order);
      BenchNormalize("res4_a", {num, 256, 2 * 10 * 10}, order);
      BenchNormalize("res5_c", {num, 2048, 5 * 5}, order);
    }
    BenchPool("pool1", {num, 64, {{16, 2, 2}, {80, 3, 2}, {80, 3, 2}}});
    BenchPool("3a_pool", {num, 256, {{8, 2, 2}, {40}, {40}}});
  } catch (const p3d::Error& error) {
    std::fprintf(stderr, "bench_cuda: %s\n", error.what());
    return 1;
  }
  return 0;
}
