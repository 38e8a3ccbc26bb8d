#include "kernels/conv/conv_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/conv/conv_library_cuda.hpp"
#include "kernels/conv/conv_weight_gradient_call_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// Row (o * taps + k) * inputs + i: one weight, summed over all output pixels.
template <typename Value>
struct WeightGradientRows {
  Problem<int64_t> at;
  const Value *dy, *x;
  bool add;
  RealOf<Value>* dw;

  P3D_HOST_DEVICE Pair Sum(int64_t row, int64_t lane) const {
    const int64_t column = Quotient(row, at.inputs);
    const int64_t line = Quotient(column, at.w.kernel);
    const int64_t k_w = column - line * at.w.kernel;
    const int64_t plane = Quotient(line, at.h.kernel);
    const int64_t k_h = line - plane * at.h.kernel;
    const int64_t o = Quotient(plane, at.l.kernel);
    const int64_t k_l = plane - o * at.l.kernel;
    const int64_t c =
        Quotient(o, at.outputs) * at.inputs + row - column * at.inputs;
    const int64_t end = at.num * at.out_pixels();
    Pair sum = {0, 0};
    for (int64_t place = lane; place < end; place += kThreads) {
      const Pixel<int64_t> p(place, at.l.out, at.h.out, at.w.out);
      const int64_t l = at.l.At(p.l, k_l);
      const int64_t h = at.h.At(p.h, k_h);
      const int64_t w = at.w.At(p.w, k_w);
      if (!at.l.Has(l) || !at.h.Has(h) || !at.w.Has(w)) continue;
      const int64_t pixel = ((p.n * at.l.in + l) * at.h.in + h) * at.w.in + w;
      sum.first += static_cast<double>(dy[place * at.num_output + o]) *
                   x[pixel * at.channels + c];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, const Pair& sum) const {
    dw[row] = (add ? dw[row] : 0) + static_cast<RealOf<Value>>(sum.first);
  }
};

}  // namespace

template <typename Value>
void JoinIfMany(CUstream_st* stream, const PixelSlices& slices,
                const WeightGradientCall<Value>& call) {
  if (slices.count == 1) return;
  const int64_t count = call.shape.weight_count();
  Join(stream, "ConvWeightGradient join",
       JoinSlices<RealOf<Value>>{slices.count, count, call.scratch, call.add,
                                 call.dw});
}

template <typename Value>
void WeightGradientCall<Value>::LaunchLoops(CUstream_st* stream,
                                            const WeightGradientCall& call) {
  const auto at = ThreeAxes<int64_t>(call.shape);
  SumRows(stream, "ConvWeightGradient", call.shape.weight_count(),
          WeightGradientRows<Value>{at, call.dy, call.x, call.add, call.dw});
}

int64_t ConvWeightGradientScratch(const ConvShape& shape) {
  ThreeAxes<int64_t>(shape);  // or throws
  const int64_t slices = PixelSlices(shape).count;
  return slices == 1 ? 0 : slices * shape.weight_count();
}

template <typename Value>
void ConvWeightGradient(CUstream_st* stream, const ConvShape& shape,
                        const Value* dy, const Value* x, RealOf<Value>* scratch,
                        bool add, RealOf<Value>* dw) {
  ThreeAxes<int64_t>(shape);  // or throws
  const WeightGradientCall<Value> call = {shape, dy, x, scratch, add, dw};
  LaunchChosen(stream, call);
}

#define P3D_INSTANTIATE(Value)                                                 \
  template void JoinIfMany(CUstream_st*, const PixelSlices&,                   \
                           const WeightGradientCall<Value>&);                  \
  template void WeightGradientCall<Value>::LaunchLoops(                        \
      CUstream_st*, const WeightGradientCall<Value>&);                         \
  template void ConvWeightGradient(CUstream_st*, const ConvShape&,             \
                                   const Value*, const Value*, RealOf<Value>*, \
                                   bool, RealOf<Value>*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
P3D_INSTANTIATE(Tf32);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
