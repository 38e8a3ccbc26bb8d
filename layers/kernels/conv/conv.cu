#include "kernels/conv/conv_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/conv/conv_call_cuda.hpp"
#include "kernels/conv/conv_filled_cuda.hpp"
#include "kernels/conv/conv_library_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value>
struct ForwardLoops {
  Problem<int64_t> at;
  const Value *x, *weights;
  Epilogue<Value> epilogue;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t row = Quotient(place, at.num_output);
    const int64_t o = place - row * at.num_output;
    const Pixel<int64_t> p(row, at.l.out, at.h.out, at.w.out);
    const int64_t first = Quotient(o, at.outputs) * at.inputs;
    const Value* image = x + p.n * at.in_pixels() * at.channels + first;
    const Value* tap = weights + o * at.taps() * at.inputs;
    RealOf<Value> sum = 0;
    for (int64_t k = 0; k < at.l.kernel; ++k) {
      const int64_t l = at.l.At(p.l, k);
      for (int64_t j = 0; j < at.h.kernel; ++j) {
        const int64_t h = at.h.At(p.h, j);
        for (int64_t i = 0; i < at.w.kernel; ++i, tap += at.inputs) {
          const int64_t w = at.w.At(p.w, i);
          if (!at.l.Has(l) || !at.h.Has(h) || !at.w.Has(w)) continue;
          const int64_t pixel = (l * at.h.in + h) * at.w.in + w;
          sum += Products(image + pixel * at.channels, tap);
        }
      }
    }
    y[place] = epilogue(sum, o, place);
  }

  P3D_HOST_DEVICE RealOf<Value> Products(const Value* values,
                                         const Value* tap) const {
    RealOf<Value> sum = 0;
    for (int64_t i = 0; i < at.inputs; ++i) sum += values[i] * tap[i];
    return sum;
  }
};

template <typename Value>
struct JoinForward {
  using Real = RealOf<Value>;
  int64_t slices, count;
  const Real* parts;
  Epilogue<Value> epilogue;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    constexpr int n = Runs::kWidth;
    const auto scale = runs.Each(epilogue.scale);
    const auto shift = runs.Each(epilogue.shift);
    runs.ForEach([&](int64_t i) {
      auto v = JoinedRun<Runs>(slices, count, parts, i);
      const auto old = epilogue.residual ? Runs::Read(epilogue.residual + i)
                                         : Runs::All(Value(0));
      epilogue.template OfRun<n>(&v[0], &scale[0], &shift[0], &old[0]);
      Runs::Write(v, y + i);
    });
  }
};

const char* NameOf(float) { return "f32"; }
const char* NameOf(double) { return "f64"; }
const char* NameOf(Tf32) { return "tf32"; }
const char* NameOf(Bf16) { return "bf16"; }
const char* NameOf(Fp16) { return "fp16"; }

}  // namespace

template <typename Value>
void JoinIfMany(CUstream_st* stream, const TapSlices& slices,
                const ForwardCall<Value>& call) {
  if (slices.count == 1) return;
  const ConvShape& shape = call.shape;
  const int64_t pixels = shape.num * shape.out_pixels();
  const Epilogue<Value>& epilogue = call.epilogue;
  ForEachRun<Value>(stream, "Convolve join", pixels, shape.num_output,
                    Aligned(call.scratch, epilogue.scale, epilogue.shift,
                            epilogue.residual, call.y),
                    JoinForward<Value>{slices.count, pixels * shape.num_output,
                                       call.scratch, epilogue, call.y});
}

template <typename Value>
void ForwardCall<Value>::LaunchLoops(CUstream_st* stream,
                                     const ForwardCall& call) {
  const auto at = ThreeAxes<int64_t>(call.shape);
  ForEach(stream, "Convolve", at.num * at.out_pixels() * at.num_output,
          ForwardLoops<Value>{at, call.x, call.weights, call.epilogue, call.y});
}

int64_t ConvolveScratch(const ConvShape& shape) {
  ThreeAxes<int64_t>(shape);  // or throws
  const int64_t slices =
      std::max<int64_t>(ForwardSlices(shape).count, ForwardMmaSlices(shape));
  const int64_t sums =
      slices == 1 ? 0
                  : slices * shape.num * shape.out_pixels() * shape.num_output;
  return std::max(sums, FilledScratch(shape));
}

template <typename Value>
void Convolve(CUstream_st* stream, const ConvShape& shape, const Value* x,
              const Value* weights, const Epilogue<Value>& epilogue,
              RealOf<Value>* scratch, Value* y) {
  ThreeAxes<int64_t>(shape);  // or throws
  const ForwardCall<Value> call = {shape, x, weights, epilogue, y, scratch};
  LaunchChosen(stream, call);
}

template <typename Value>
std::string ConvolveName(const ConvShape& shape) {
  ThreeAxes<int64_t>(shape);  // or throws
  const auto scratch = reinterpret_cast<RealOf<Value>*>(uintptr_t{16});
  const ForwardCall<Value> call = {shape, nullptr, nullptr,
                                   {},    nullptr, scratch};
  return std::string("conv_") + NameOf(Value()) + "_cuda_" + Chosen(call).name;
}

#define P3D_INSTANTIATE(Value)                                                 \
  template void JoinIfMany(CUstream_st*, const TapSlices&,                     \
                           const ForwardCall<Value>&);                         \
  template void ForwardCall<Value>::LaunchLoops(CUstream_st*,                  \
                                                const ForwardCall<Value>&);    \
  template void Convolve(CUstream_st*, const ConvShape&, const Value*,         \
                         const Value*, const Epilogue<Value>&, RealOf<Value>*, \
                         Value*);                                              \
  template std::string ConvolveName<Value>(const ConvShape&)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
P3D_INSTANTIATE(Tf32);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
