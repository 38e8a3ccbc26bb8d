#include "kernels/conv/conv_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/conv/conv_data_gradient_call_cuda.hpp"
#include "kernels/conv/conv_library_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// The outputs [begin, end) of an axis.
struct Outputs {
  int64_t begin, end;
};

// The outputs whose tap k sees element q.
P3D_HOST_DEVICE inline Outputs Seers(const Axis<int64_t>& axis, int64_t q,
                                     int64_t k) {
  const int64_t from = q + axis.pad - k * axis.dilation;
  int64_t begin = from > 0 ? Quotient(from + axis.stride - 1, axis.stride) : 0;
  int64_t end = from >= 0 ? Quotient(from, axis.stride) + 1 : 0;
  if (axis.replicate && q == 0) begin = 0;
  if (axis.replicate && q == axis.in - 1) end = axis.out;
  return {begin, Smaller(end, axis.out)};
}

template <typename Value>
struct DataGradientLoops {
  Problem<int64_t> at;
  const Value *dy, *weights;
  bool add;
  Value* dx;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t row = Quotient(place, at.channels);
    const int64_t c = place - row * at.channels;
    const Pixel<int64_t> q(row, at.l.in, at.h.in, at.w.in);
    const int64_t group = Quotient(c, at.inputs);
    const int64_t first = group * at.outputs;
    const Value* image = dy + q.n * at.out_pixels() * at.num_output + first;
    const Value* tap =
        weights + first * at.taps() * at.inputs + c - group * at.inputs;
    RealOf<Value> sum = 0;
    for (int64_t k = 0; k < at.l.kernel; ++k) {
      const Outputs l = Seers(at.l, q.l, k);
      for (int64_t j = 0; j < at.h.kernel; ++j) {
        const Outputs h = Seers(at.h, q.h, j);
        for (int64_t i = 0; i < at.w.kernel; ++i, tap += at.inputs) {
          sum += Box(l, h, Seers(at.w, q.w, i), image, tap);
        }
      }
    }
    dx[place] = add ? dx[place] + sum : sum;
  }

  // The sum over a box of output pixels and the outputs of the group.
  P3D_HOST_DEVICE RealOf<Value> Box(const Outputs& l, const Outputs& h,
                                    const Outputs& w, const Value* image,
                                    const Value* tap) const {
    const int64_t step = at.inputs * at.taps();
    RealOf<Value> sum = 0;
    for (int64_t a = l.begin; a < l.end; ++a) {
      for (int64_t b = h.begin; b < h.end; ++b) {
        for (int64_t c = w.begin; c < w.end; ++c) {
          const int64_t pixel = (a * at.h.out + b) * at.w.out + c;
          const Value* from = image + pixel * at.num_output;
          for (int64_t o = 0; o < at.outputs; ++o) {
            sum += from[o] * tap[o * step];
          }
        }
      }
    }
    return sum;
  }
};

}  // namespace

template <typename Value>
void JoinIfMany(CUstream_st* stream, const TapSlices& slices,
                const DataGradientCall<Value>& call) {
  if (slices.count == 1) return;
  const ConvShape& shape = call.shape;
  const int64_t count = shape.num * shape.in_pixels() * shape.channels;
  Join(stream, "ConvDataGradient join",
       JoinSlices<Value>{slices.count, count, call.scratch, call.add, call.dx});
}

template <typename Value>
void DataGradientCall<Value>::LaunchLoops(CUstream_st* stream,
                                          const DataGradientCall& call) {
  const auto at = ThreeAxes<int64_t>(call.shape);
  ForEach(
      stream, "ConvDataGradient", at.num * at.in_pixels() * at.channels,
      DataGradientLoops<Value>{at, call.dy, call.weights, call.add, call.dx});
}

int64_t ConvDataGradientScratch(const ConvShape& shape) {
  ThreeAxes<int64_t>(shape);  // or throws
  const int64_t slices = std::max<int64_t>(DataGradientSlices(shape).count,
                                           DataGradientMmaSlices(shape));
  return slices == 1 ? 0
                     : slices * shape.num * shape.in_pixels() * shape.channels;
}

template <typename Value>
void ConvDataGradient(CUstream_st* stream, const ConvShape& shape,
                      const Value* dy, const Value* weights,
                      RealOf<Value>* scratch, bool add, Value* dx) {
  ThreeAxes<int64_t>(shape);  // or throws
  const DataGradientCall<Value> call = {shape, dy, weights, add, dx, scratch};
  LaunchChosen(stream, call);
}

#define P3D_INSTANTIATE(Value)                                                 \
  template void JoinIfMany(CUstream_st*, const TapSlices&,                     \
                           const DataGradientCall<Value>&);                    \
  template void DataGradientCall<Value>::LaunchLoops(                          \
      CUstream_st*, const DataGradientCall<Value>&);                           \
  template void ConvDataGradient(CUstream_st*, const ConvShape&, const Value*, \
                                 const Value*, RealOf<Value>*, bool, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
P3D_INSTANTIATE(Tf32);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
