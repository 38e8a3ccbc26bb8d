// Times the convolutions of P3D-199 and their gradients on the GPU: the tiles
// that can do a shape, and the implementation that is chosen, marked by a star.
//
//   bench_cuda_conv [num]   clips of 16x160x160 at a time, 8 by default
//
// Compiled by nvcc (-x cu); tools/gpu_check.py does so. Every result is
// compared with the CPU's before it is timed. Products with padding count as
// work.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "bench_cuda.hpp"
#include "conv_cases.hpp"
#include "kernels/conv.cu"
#include "kernels/conv_data_gradient.cu"
#include "kernels/conv_gradients.hpp"
#include "kernels/conv_weight_gradient.cu"
#include "kernels/order.hpp"

namespace {

using bench::Floats;
using p3d::ConvShape;
using testing::Device;
using testing::Guarded;

// "1x3x3, 64 to 64, 8x40x40"
std::string Title(const ConvShape& shape) {
  std::ostringstream kernel, in;
  for (const p3d::ConvAxis& axis : shape.axes) {
    const char* cross = kernel.tellp() > 0 ? "x" : "";
    kernel << cross << axis.kernel;
    in << cross << axis.in;
  }
  return kernel.str() + ", " + std::to_string(shape.channels) + " to " +
         std::to_string(shape.num_output) + ", " + in.str();
}

Guarded Copy(const Floats& values) {
  Guarded copy(values.size());
  std::copy(values.begin(), values.end(), copy.get());
  return copy;
}

Floats Values(const Guarded& array) {
  return Floats(array.get(), array.get() + array.count());
}

// From the order of Caffe's weights to that of the GPU.
Floats Turned(const ConvShape& shape, const Floats& weights) {
  Floats turned(weights.size());
  p3d::ToChannelsLast(
      {shape.num_output, shape.channels / shape.group, shape.taps()},
      weights.data(), turned.data());
  return turned;
}

// The candidates for a call that writes to `result`.
template <typename Call>
void BenchAll(const std::string& title, const Call& call,
              const Device<float>& result, const Floats& want) {
  const std::string chosen = p3d::cuda::Chosen(call).name;
  for (const auto& candidate : p3d::cuda::All<Call>()) {
    std::string name = candidate.name;
    if (!candidate.can(call) || (name == "loops" && name != chosen)) continue;
    if (name == chosen) name += " *";
    result.Set(Floats(want.size()));
    bench::Report(title + " " + name, 2.0 * call.shape.macs(), "GFLOP/s",
                  result, want, [&] { candidate.launch(nullptr, call); });
  }
}

void BenchForward(const ConvShape& shape, const Floats& x,
                  const Floats& weights) {
  const Floats scale(shape.num_output, .5f), shift(shape.num_output, .1f);
  const auto conv = p3d::Conv::Create(shape);
  Guarded packed(conv->packed_size()), workspace(conv->workspace_size()),
      y(shape.num * shape.out_pixels() * shape.num_output);
  conv->Pack(weights.data(), packed.get());
  p3d::ConvEpilogue epilogue;
  epilogue.scale = scale.data();
  epilogue.shift = shift.data();
  epilogue.inner_relu = true;
  conv->Run(Copy(x).get(), packed.get(), epilogue, y.get(), workspace.get());

  const Device<float> d_x(x), d_weights(Turned(shape, weights)), d_scale(scale),
      d_shift(shift), d_y(y.count());
  epilogue.scale = d_scale.get();
  epilogue.shift = d_shift.get();
  BenchAll("conv " + Title(shape),
           p3d::cuda::ForwardCall<float>{shape, d_x.get(), d_weights.get(),
                                         epilogue, d_y.get()},
           d_y, Values(y));
}

void BenchGradients(const ConvShape& shape, const Floats& x,
                    const Floats& weights) {
  const Floats dy =
      bench::Gaussian(3, shape.num * shape.out_pixels() * shape.num_output);
  const auto gradients = p3d::ConvGradients<float>::Create(shape);
  Guarded dx(x.size()), dw(weights.size());
  gradients->Data(Copy(dy).get(), Copy(weights).get(), dx.get());
  gradients->Weights(Copy(dy).get(), Copy(x).get(), dw.get(), false);

  const Device<float> d_x(x), d_weights(Turned(shape, weights)), d_dy(dy),
      d_dx(x.size()), d_dw(weights.size()),
      scratch(p3d::cuda::ConvWeightGradientScratch(shape));
  BenchAll("data gradient " + Title(shape),
           p3d::cuda::DataGradientCall<float>{
               shape, d_dy.get(), d_weights.get(), false, d_dx.get()},
           d_dx, Values(dx));
  BenchAll("weight gradient " + Title(shape),
           p3d::cuda::WeightGradientCall<float>{
               shape, d_dy.get(), d_x.get(), scratch.get(), false, d_dw.get()},
           d_dw, Turned(shape, Values(dw)));
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t num = argc > 1 ? std::atoll(argv[1]) : 8;
  try {
    for (const char* text : testing::kP3d) {
      ConvShape shape = testing::Parse(text);
      shape.num = num;
      const Floats x =
          bench::Gaussian(1, shape.num * shape.in_pixels() * shape.channels);
      const Floats weights = bench::Gaussian(2, shape.weight_count());
      BenchForward(shape, x, weights);
      BenchGradients(shape, x, weights);
    }
  } catch (const p3d::Error& error) {
    std::fprintf(stderr, "bench_cuda_conv: %s\n", error.what());
    return 1;
  }
  return 0;
}
