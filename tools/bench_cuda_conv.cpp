// Times the convolutions of P3D-199 and their gradients on the GPU, for every
// kind of values but double: the tiles that can do a shape, and the
// implementation that is chosen, marked by a star.
//
//   bench_cuda_conv [num]   clips of 16x160x160 at a time, 8 by default
//
// Compiled by nvcc (-x cu); tools/gpu_check.py does so. Every result is
// compared with the CPU's, of the same rounded values, before it is timed.
// Products with padding count as work. Shares are those of the peak without
// sparsity at the highest clock, of GPUs whose peak is known here.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "bench_cuda.hpp"
#include "conv_cases.hpp"
#include "kernels/conv/conv_call_cuda.hpp"
#include "kernels/conv/conv_cuda.hpp"
#include "kernels/conv/conv_data_gradient_call_cuda.hpp"
#include "kernels/conv/conv_gradients.hpp"
#include "kernels/conv/conv_weight_gradient_call_cuda.hpp"
#include "kernels/cuda/mma_cuda.hpp"
#include "kernels/order.hpp"

namespace {

using bench::Floats;
using p3d::Bf16;
using p3d::ConvShape;
using p3d::Fp16;
using p3d::RealOf;
using p3d::Tf32;
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

// What is known of a kind of values: its name, which error of a result, of the
// largest value, comes of rounding it and of sums in float; and operations that
// a multiprocessor of compute capability 8.0 and of 9.0 does per clock (the
// whitepapers of the A100 and of the H100).
struct KindOfValues {
  const char* name;
  double tolerance;
  int on_80, on_90;
};
template <typename Value>
KindOfValues Kind();
template <>
KindOfValues Kind<float>() {
  return {"f32", 1e-4, 128, 256};
}
template <>
KindOfValues Kind<Tf32>() {
  return {"tf32", 1e-3, 1024, 2048};
}
template <>
KindOfValues Kind<Bf16>() {
  return {"bf16", 5e-3, 2048, 4096};
}
template <>
KindOfValues Kind<Fp16>() {
  return {"fp16", 1e-3, 2048, 4096};
}

// Thousand millions of operations per second, or 0.
double Peak(const KindOfValues& kind) {
  int device = 0, major = 0, minor = 0, count = 0, kilohertz = 0;
  testing::CheckCuda(cudaGetDevice(&device), "cudaGetDevice");
  const auto get = [&](cudaDeviceAttr attribute, int* value) {
    testing::CheckCuda(cudaDeviceGetAttribute(value, attribute, device),
                       "cudaDeviceGetAttribute");
  };
  get(cudaDevAttrComputeCapabilityMajor, &major);
  get(cudaDevAttrComputeCapabilityMinor, &minor);
  get(cudaDevAttrMultiProcessorCount, &count);
  get(cudaDevAttrClockRate, &kilohertz);
  if (minor != 0 || (major != 8 && major != 9)) return 0;
  return 1e-6 * kilohertz * count * (major == 8 ? kind.on_80 : kind.on_90);
}

template <typename Value>
std::vector<Value> As(const Floats& values) {
  return std::vector<Value>(values.begin(), values.end());
}

// The values that a kernel multiplies where it is given these.
template <typename Value>
Floats Rounded(const Floats& values) {
  const std::vector<Value> rounded = As<Value>(values);
  return Floats(rounded.begin(), rounded.end());
}
template <>
Floats Rounded<Tf32>(const Floats& values) {
  Floats rounded(values);
  for (float& value : rounded) {
    value = p3d::detail::FloatOf(
        p3d::cuda::MmaOf<Tf32>::Operand(p3d::detail::BitsOf(value)));
  }
  return rounded;
}

// The candidates for a call that writes to `result`.
template <typename Value, typename Call, typename Result>
void BenchAll(const std::string& title, const Call& call,
              const Device<Result>& result, const Floats& want) {
  const KindOfValues kind = Kind<Value>();
  const std::string chosen = p3d::cuda::Chosen(call).name;
  for (const auto& candidate : p3d::cuda::All<Call>()) {
    std::string name = candidate.name;
    if (!candidate.can(call) || (name == "loops" && name != chosen)) continue;
    if (name == chosen) name += " *";
    result.Set(std::vector<Result>(want.size()));
    bench::Report(
        title + " " + kind.name + " " + name, 2.0 * call.shape.macs(),
        "GFLOP/s", result, want, [&] { candidate.launch(nullptr, call); },
        kind.tolerance, Peak(kind));
  }
}

template <typename Value>
void BenchForward(const ConvShape& shape, const Floats& x,
                  const Floats& weights) {
  const Floats scale(shape.num_output, .5f), shift(shape.num_output, .1f);
  const auto conv = p3d::Conv::Create(shape);
  Guarded packed(conv->packed_size()), workspace(conv->workspace_size()),
      y(shape.num * shape.out_pixels() * shape.num_output);
  conv->Pack(weights.data(), packed.get());
  p3d::ConvEpilogue cpu;
  cpu.scale = scale.data();
  cpu.shift = shift.data();
  cpu.inner_relu = true;
  conv->Run(Copy(x).get(), packed.get(), cpu, y.get(), workspace.get());

  const Device<Value> d_x(As<Value>(x)),
      d_weights(As<Value>(Turned(shape, weights))), d_y(y.count());
  const Device<float> d_scale(scale), d_shift(shift);
  p3d::Epilogue<Value> epilogue;
  epilogue.scale = d_scale.get();
  epilogue.shift = d_shift.get();
  epilogue.inner_relu = true;
  BenchAll<Value>("conv " + Title(shape),
                  p3d::cuda::ForwardCall<Value>{
                      shape, d_x.get(), d_weights.get(), epilogue, d_y.get()},
                  d_y, Values(y));
}

template <typename Value>
void BenchGradients(const ConvShape& shape, const Floats& x,
                    const Floats& weights) {
  const Floats dy = Rounded<Value>(
      bench::Gaussian(3, shape.num * shape.out_pixels() * shape.num_output));
  const auto gradients = p3d::ConvGradients<float>::Create(shape);
  Guarded dx(x.size()), dw(weights.size());
  gradients->Data(Copy(dy).get(), Copy(weights).get(), dx.get());
  gradients->Weights(Copy(dy).get(), Copy(x).get(), dw.get(), false);

  const Device<Value> d_x(As<Value>(x)), d_dy(As<Value>(dy)),
      d_weights(As<Value>(Turned(shape, weights))), d_dx(x.size());
  const Device<float> d_dw(weights.size()),
      scratch(p3d::cuda::ConvWeightGradientScratch(shape));
  BenchAll<Value>("data gradient " + Title(shape),
                  p3d::cuda::DataGradientCall<Value>{
                      shape, d_dy.get(), d_weights.get(), false, d_dx.get()},
                  d_dx, Values(dx));
  BenchAll<Value>(
      "weight gradient " + Title(shape),
      p3d::cuda::WeightGradientCall<Value>{shape, d_dy.get(), d_x.get(),
                                           scratch.get(), false, d_dw.get()},
      d_dw, Turned(shape, Values(dw)));
}

template <typename Value>
void Bench(const ConvShape& shape) {
  const Floats x = Rounded<Value>(
      bench::Gaussian(1, shape.num * shape.in_pixels() * shape.channels));
  const Floats weights =
      Rounded<Value>(bench::Gaussian(2, shape.weight_count()));
  BenchForward<Value>(shape, x, weights);
  BenchGradients<Value>(shape, x, weights);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t num = argc > 1 ? std::atoll(argv[1]) : 8;
  try {
    for (const char* text : testing::kP3d) {
      ConvShape shape = testing::Parse(text);
      shape.num = num;
      Bench<float>(shape);
      Bench<Tf32>(shape);
      Bench<Bf16>(shape);
      Bench<Fp16>(shape);
    }
  } catch (const p3d::Error& error) {
    std::fprintf(stderr, "bench_cuda_conv: %s\n", error.what());
    return 1;
  }
  return 0;
}
