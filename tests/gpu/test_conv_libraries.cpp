// Convolutions of narrow values through the GPU library's table, where cuDNN
// and cuBLASLt (simulated_cudnn.cpp and simulated_cublaslt.cpp on the simulated
// GPU) may do them, against conv.cu's plain loops for floats on the same
// rounded values.
//
//   test_conv_libraries GPU_LIBRARY FOLDER CACHE SCENARIO ["case"...]
//
// Prints the choices, one "choice<TAB>form" a line, and the sum of the checks.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "../kernels/conv_cases.hpp"
#include "../kernels/testing.hpp"
#include "engine/gpu.hpp"
#include "kernels/conv/conv_flat.hpp"
#include "kernels/conv/conv_library.hpp"

namespace {

using p3d::Bf16;
using p3d::ConvShape;
using p3d::Fp16;
using p3d::Gpu;
using p3d::RealOf;
using p3d::Tf32;
using testing::Expect;

// Aligned to 16 bytes and no better: all that ways may count on.
template <typename T>
class OnGpu {
 public:
  explicit OnGpu(const std::vector<float>& values)
      : count_(values.size()), buffer_(values.size() * sizeof(T) + 16) {
    Set(values);
  }
  void Set(const std::vector<float>& values) {
    const std::vector<T> converted(values.begin(), values.end());
    Gpu().CopyToDevice(get(), converted.data(), count_ * sizeof(T));
  }
  std::vector<float> values() const {
    std::vector<T> got(count_);
    Gpu().CopyToHost(got.data(), get(), count_ * sizeof(T));
    return std::vector<float>(got.begin(), got.end());
  }
  T* get() const {
    return reinterpret_cast<T*>(static_cast<char*>(buffer_.data()) + 16);
  }

 private:
  size_t count_;
  p3d::GpuBuffer buffer_;
};

std::vector<float> Values(int64_t count, uint32_t seed) {
  std::vector<float> values(count);
  testing::Fill(values.data(), count, 8, 0.125f, seed);
  return values;
}

template <typename Value>
const p3d::cuda::Kernels<Value>& KernelsOf();
template <>
const p3d::cuda::Kernels<float>& KernelsOf() {
  return Gpu().of_float;
}
template <>
const p3d::cuda::Kernels<Tf32>& KernelsOf() {
  return Gpu().of_tf32;
}
template <>
const p3d::cuda::Kernels<Bf16>& KernelsOf() {
  return Gpu().of_bf16;
}
template <>
const p3d::cuda::Kernels<Fp16>& KernelsOf() {
  return Gpu().of_fp16;
}

enum Use { kScale = 1, kShift = 2, kInner = 4, kResidual = 8, kOuter = 16 };

// All three calls on one case, and what they made.
template <typename Value>
class Calls {
 public:
  using Real = RealOf<Value>;

  Calls(const ConvShape& shape, int use, bool add)
      : shape_(shape),
        use_(use),
        add_(add),
        x_(Values(shape.num * shape.in_pixels() * shape.channels, 1)),
        weights_(Values(shape.weight_count(), 2)),
        y_(Values(shape.num * shape.out_pixels() * shape.num_output, 3)),
        scale_(Values(shape.num_output, 4)),
        shift_(Values(shape.num_output, 5)),
        residual_(y_.values()),
        dy_(y_.values()),
        dx_(x_.values()),
        dw_(weights_.values()),
        scratch_(std::vector<float>(ScratchFor(shape) + 1, 0.f)) {}

  void Run(bool in_place = false) {
    p3d::Epilogue<Value> e;
    if (use_ & kScale) e.scale = scale_.get();
    if (use_ & kShift) e.shift = shift_.get();
    e.inner_relu = use_ & kInner;
    e.outer_relu = use_ & kOuter;
    if (use_ & kResidual) e.residual = in_place ? y_.get() : residual_.get();
    if (use_ & kResidual) e.alpha = .5f, e.beta = use_ & kInner ? 1.f : -2.f;
    const auto& kernels = KernelsOf<Value>();
    CUstream_st* stream = Gpu().DeviceStream();
    kernels.Convolve(stream, shape_, x_.get(), weights_.get(), e,
                     scratch_.get(), y_.get());
    kernels.ConvDataGradient(stream, shape_, dy_.get(), weights_.get(),
                             scratch_.get(), add_, dx_.get());
    kernels.ConvWeightGradient(stream, shape_, dy_.get(), x_.get(),
                               scratch_.get(), add_, dw_.get());
  }

  std::vector<float> y() const { return y_.values(); }
  std::vector<float> dx() const { return dx_.values(); }
  std::vector<float> dw() const { return dw_.values(); }

 private:
  static int64_t ScratchFor(const ConvShape& shape) {
    return std::max({Gpu().ConvolveScratch(shape),
                     Gpu().ConvDataGradientScratch(shape),
                     Gpu().ConvWeightGradientScratch(shape)});
  }

  ConvShape shape_;
  int use_;
  bool add_;
  OnGpu<Value> x_, weights_, y_;
  OnGpu<Real> scale_, shift_;
  OnGpu<Value> residual_, dy_, dx_;
  OnGpu<Real> dw_, scratch_;
};

void ExpectClose(const std::vector<float>& got, const std::vector<float>& want,
                 double tolerance, const std::string& where) {
  double largest = 0, worst = 0;
  for (float value : want) largest = std::fmax(largest, std::fabs(value));
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::fabs(got[i] - want[i]);
    worst = error <= worst ? worst : error;  // keeps NaN
  }
  Expect(worst <= tolerance * largest,
         where + ": off by " + std::to_string(worst / largest));
}

template <typename Value>
void TestCase(const std::string& text, int use, bool add, double tolerance) {
  const ConvShape shape = testing::Parse(text);
  Calls<Value> narrow(shape, use, add);
  Calls<float> wide(shape, use, add);
  const bool in_place = use % 3 == 0;
  narrow.Run(in_place);
  wide.Run(in_place);
  const std::string where = "\"" + text + "\", epilogue " +
                            std::to_string(use) + (add ? ", added" : "");
  ExpectClose(narrow.y(), wide.y(), tolerance, where);
  ExpectClose(narrow.dx(), wide.dx(), tolerance, where + ": dx");
  ExpectClose(narrow.dw(), wide.dw(), tolerance, where + ": dw");
}

const char* const kCases[] = {
    "2 8 16 1 zero 3,1,1,1,0,0 5,3,1,1,1,1 6,3,1,1,1,1",
    "2 16 8 1 zero 4,3,1,1,1,1 3,1,1,1,0,0 5,1,1,1,0,0",
    "3 8 24 1 zero 2,1,1,1,0,0 3,1,1,1,0,0 5,1,1,1,0,0",
    "1 8 8 1 zero 3,1,1,1,0,0 7,1,2,1,0,0 6,1,2,1,0,0",
    "1 8 8 1 zero 4,3,2,1,1,0 5,3,1,2,2,2 6,2,2,1,0,1",
    "2 8 8 1 zero 5,3,1,1,1,1 3,3,1,1,1,1 4,1,1,1,0,0",
    "1 8 8 1 zero 9,3,2,1,1,1",
    "2 16 8 1 zero 5,3,1,1,1,1 4,2,1,1,0,1",
    "2 16 32 2 zero 3,1,1,1,0,0 5,3,1,1,1,1 4,3,1,1,1,1",
    "1 24 24 3 zero 5,3,2,1,1,1 6,3,1,1,1,1",
    // Products of matrices.
    "2 5 7 1 zero 3,1,1,1,0,0 3,1,1,1,0,0 5,1,1,1,0,0",
    "5 13 11 1 zero 9,1,1,1,0,0",
    "3 16 8 1 zero 3,1,1,2,0,0 7,1,1,1,0,0",
    "2 3 5 1 replicate 4,1,1,1,0,0",
    // Not asked for.
    "2 3 5 1 zero 4,1,2,1,0,0 3,1,1,1,0,0",
    "2 6 4 2 zero 4,1,1,1,0,0",
    "1 4 5 1 zero 4,1,1,1,1,0",
    "1 3 8 1 zero 5,3,1,1,1,1 5,3,1,1,1,1",
    "1 8 8 1 replicate 5,3,1,1,1,1 5,3,1,1,1,1",
    "2 16 16 16 zero 5,3,1,1,1,1 5,3,1,1,1,1",
};
const char kProduct[] = "2 5 12 1 zero 3,1,1,1,0,0 7,1,1,1,0,0";

void TestAll(const std::vector<std::string>& cases) {
  int use = 0;
  for (const std::string& text : cases) {
    TestCase<Bf16>(text, (use + 1) % 32, true, 1. / 64);
    TestCase<Fp16>(text, (use + 2) % 32, false, 1. / 512);
    TestCase<Tf32>(text, (use + 3) % 32, true, 1. / 256);
    use += 3;
  }
}

void TestEpilogues() {
  for (int use = 0; use < 32; ++use) {
    TestCase<Fp16>(kCases[0], use, false, 1. / 512);
    TestCase<Bf16>(kProduct, use, false, 1. / 64);
    TestCase<Fp16>(kProduct, use, true, 1. / 512);
    TestCase<Tf32>(kProduct, use, false, 1. / 256);
  }
}

// A graph has what its kernels have been chosen for before, and works.
void TestCapture(const std::string& text) {
  const ConvShape shape = testing::Parse(text);
  Calls<Bf16> chosen(shape, kScale, false), fresh(shape, kShift, false);
  chosen.Run();
  const std::vector<float> want = chosen.y();
  for (Calls<Bf16>* calls : {&chosen, &fresh}) {
    CUgraphExec_st* graph = Gpu().CaptureGraph([&] { calls->Run(); });
    Gpu().LaunchGraph(graph);
    Gpu().ReleaseGraph(graph);
  }
  Expect(chosen.y() == want, "a captured convolution makes something else");
  const std::string way = Gpu().ForwardWay(p3d::Precision::kBf16, shape);
  Expect(!way.empty() &&
             Gpu().ConvChoices().find(way + "\tforward") != std::string::npos,
         "the forward way is not '" + way + "'");
  Expect(Gpu().ForwardWay(p3d::Precision::kFp16, shape).empty(),
         "fp16 has a way that was not chosen");
  Calls<float> wide(shape, kShift, false);
  wide.Run();
  ExpectClose(fresh.y(), wide.y(), 1. / 64, "captured without a choice");
}

void TestFlattened() {
  const struct {
    const char *text, *flat;
  } kFlat[] = {
      {"2 8 8 1 zero 9,3,2,1,1,1", "2 8 8 1 zero 1,1,1,1,0,0 9,3,2,1,1,1"},
      {"2 8 8 1 zero 5,3,1,1,1,1 4,1,1,1,0,0",
       "2 8 8 1 zero 5,3,1,1,1,1 4,1,1,1,0,0"},
      {"2 8 8 1 zero 3,1,1,1,0,0 5,3,2,1,1,1 6,3,1,2,2,0",
       "6 8 8 1 zero 5,3,2,1,1,1 6,3,1,2,2,0"},
      {"2 8 8 1 zero 3,3,1,1,1,1 5,1,1,1,0,0 6,1,1,1,0,0",
       "2 8 8 1 zero 3,3,1,1,1,1 30,1,1,1,0,0"},
      {"2 8 8 1 zero 3,1,1,1,0,0 5,1,1,1,0,0 6,1,1,1,0,0",
       "6 8 8 1 zero 5,1,1,1,0,0 6,1,1,1,0,0"},
      {"2 8 8 1 zero 3,1,1,1,0,0 5,1,2,1,0,0 6,1,2,1,0,0",
       "6 8 8 1 zero 5,1,2,1,0,0 6,1,2,1,0,0"},
      {"2 8 8 1 zero 3,1,2,1,0,0 5,1,1,1,0,0 6,1,1,1,0,0",
       "2 8 8 1 zero 3,1,2,1,0,0 30,1,1,1,0,0"},
      {"2 8 8 1 zero 3,1,1,1,1,0 5,3,1,1,0,0 6,1,1,1,0,0",
       "2 8 8 1 zero 3,1,1,1,1,0 5,3,1,1,0,0 6,1,1,1,0,0"},
      {"2 8 8 1 zero 3,3,1,1,1,1 5,3,1,1,0,0 6,1,1,1,0,0",
       "2 8 8 1 zero 3,3,1,1,1,1 5,3,1,1,0,0 6,1,1,1,0,0"},
  };
  for (const auto& entry : kFlat) {
    p3d::cuda::ConvForm got, want;
    got.shape = p3d::Flattened(testing::Parse(entry.text));
    want.shape = testing::Parse(entry.flat);
    Expect(got.Text() == want.Text(),
           std::string(entry.text) + " becomes " + got.Text());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string scenario = argv[4];
  std::vector<std::string> cases(argv + 5, argv + argc);
  const bool all = cases.empty();
  if (all) cases.assign(std::begin(kCases), std::end(kCases));
  p3d::LoadGpu(argv[1]);
  Gpu().UseDevice(0);
  Gpu().UseConvLibraries({argv[2]}, argv[3]);
  if (scenario == "all") {
    TestFlattened();
    TestAll(cases);
    if (all) TestEpilogues();
  } else if (scenario == "capture") {
    TestCapture(cases[0]);
  } else {
    TestCase<Bf16>(cases[0], kScale, false, 1. / 64);
  }
  Expect(Gpu().DeviceBytesInUse() == 0, "memory on the GPU is left");
  std::printf("%s\n%s", Gpu().ConvLibraries().c_str(),
              Gpu().ConvChoices().c_str());
  return testing::Finish();
}
