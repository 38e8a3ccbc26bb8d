#include "kernels/conv_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/conv_candidate_cuda.hpp"
#include "kernels/conv_library_cuda.hpp"
#include "kernels/conv_problem_cuda.hpp"
#include "kernels/conv_tile_cuda.hpp"
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename V>
struct ForwardCall {
  using Value = V;
  const ConvShape& shape;
  const Value *x, *weights;
  Epilogue<Value> epilogue;
  Value* y;

  void Describe(ConvForm* form, ConvPlaces* places) const {
    form->use = ConvUse::kForward;
    form->scale = epilogue.scale;
    form->shift = epilogue.shift;
    form->inner_relu = epilogue.inner_relu;
    form->residual = epilogue.residual;
    if (form->residual) {
      form->alpha = epilogue.alpha;
      form->beta = epilogue.beta;
    }
    form->outer_relu = epilogue.outer_relu;
    *places = {x, weights, epilogue.scale, epilogue.shift, epilogue.residual,
               y};
  }
  void MakeAt(const ConvPlaces& places) {
    epilogue.residual = static_cast<const Value*>(places.residual);
    y = static_cast<Value*>(places.result);
  }
};

// Output pixels times outputs; k goes through the taps and their inputs.
template <typename Dtype, int side, bool whole>
struct ForwardJob {
  TileGrid grid;
  Problem<int> at;
  const Dtype *x, *weights;
  Epilogue<Dtype> epilogue;
  Dtype* y;

  class Reader {
   public:
    static constexpr bool kAlongA = true, kAlongB = true;

    P3D_HOST_DEVICE Reader(const ForwardJob& job, const TilePlace& place,
                           int lane)
        : at_(job.at),
          spot_(Spot::Along(lane)),
          p_(place.row + spot_.outer, at_.l.out, at_.h.out, at_.w.out),
          first_channel_(place.group * at_.inputs),
          has_pixel_(p_.n < at_.num),
          has_output_(place.column + spot_.outer < at_.outputs),
          image_(job.x + int64_t{p_.n} * at_.in_pixels() * at_.channels) {
      const int o = place.group * at_.outputs + place.column + spot_.outer;
      weights_ = job.weights + int64_t{o} * at_.taps() * at_.inputs;
      Aim();
    }

    P3D_HOST_DEVICE int slabs() const {
      return at_.taps() * ((at_.inputs + kSlab - 1) / kSlab);
    }
    P3D_HOST_DEVICE Four<Dtype> A() const {
      return Read<whole>(from_, first_ + spot_.k, begin_, end_);
    }
    P3D_HOST_DEVICE Four<Dtype> B() const {
      return Read<whole>(weights_, first_ + spot_.k, 0, end_b_);
    }
    P3D_HOST_DEVICE void Next() {
      first_ += kSlab;
      if (first_ < at_.inputs) return;
      first_ = 0;
      tap_.Next(at_);
      weights_ += at_.inputs;
      Aim();
    }

   private:
    // At what the tap sees: values [begin, end) of the group's inputs lie
    // within their line of the image.
    P3D_HOST_DEVICE void Aim() {
      const int l = at_.l.At(p_.l, tap_.l), h = at_.h.At(p_.h, tap_.h);
      const int line = at_.w.in * at_.channels;
      const int place = at_.w.At(p_.w, tap_.w) * at_.channels + first_channel_;
      const bool past = tap_.l >= at_.l.kernel;
      const bool seen = has_pixel_ && at_.l.Has(l) && at_.h.Has(h) && !past;
      from_ = image_ + (int64_t{l} * at_.h.in + h) * line + place;
      begin_ = -place;
      end_ = seen ? static_cast<int>(Smaller(at_.inputs, line - place)) : 0;
      end_b_ = has_output_ && !past ? at_.inputs : 0;
    }

    const Problem<int>& at_;
    const Spot spot_;
    const Pixel<int> p_;
    const int first_channel_;
    const bool has_pixel_, has_output_;
    const Dtype* const image_;
    Tap tap_;
    int first_ = 0;  // input of the slab
    const Dtype *from_, *weights_;
    int begin_, end_, end_b_;
  };

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const Four<Dtype>& sums) const {
    if (row >= at.num * at.out_pixels() || column >= at.outputs) return;
    const int first = place.group * at.outputs;
    const int64_t to = int64_t{row} * at.num_output + first;
    Four<Dtype> values = {};
    P3D_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int o = column + i;
      if (whole || o < at.outputs)
        values.v[i] = epilogue(sums.v[i], first + o, to + o);
    }
    Write<whole>(values, false, y + to, column, at.outputs);
  }
};

template <typename Dtype, int side, bool whole>
struct ForwardTiles {
  using Call = ForwardCall<Dtype>;
  using Kernel = Tiles<Dtype, side, ForwardJob<Dtype, side, whole>>;

  static TileGrid Grid(const ConvShape& shape) {
    return {side, shape.num * shape.out_pixels(),
            shape.num_output / shape.group, shape.group};
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t terms = shape.taps() * shape.channels / shape.group;
    return FitsInt(shape) && Grid(shape).blocks() <= kMaxTiles &&
           Kernel::CanSum(terms) &&
           (!whole || (InFours(shape) && Aligned(call.x) &&
                       Aligned(call.weights) && Aligned(call.y)));
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return TilesSuit(side, Grid(shape), shape.num * shape.out_pixels(),
                     shape.num_output / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const TileGrid grid = Grid(call.shape);
    const Problem<int> at = Folded(ThreeAxes<int>(call.shape));
    MakeTiles(stream, "Convolve", grid.blocks(),
              Kernel{{grid, at, call.x, call.weights, call.epilogue, call.y}});
  }
};

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
void LaunchForwardLoops(CUstream_st* stream, const ForwardCall<Value>& call) {
  const auto at = ThreeAxes<int64_t>(call.shape);
  ForEach(stream, "Convolve", at.num * at.out_pixels() * at.num_output,
          ForwardLoops<Value>{at, call.x, call.weights, call.epilogue, call.y});
}

}  // namespace

template <>
const Candidates<ForwardCall<float>>& All() {
  static const auto table = FloatTable<ForwardTiles>(LaunchForwardLoops<float>);
  return table;
}

template <>
const Candidates<ForwardCall<double>>& All() {
  static const auto table =
      DoubleTable<ForwardTiles>(LaunchForwardLoops<double>);
  return table;
}

template <>
const Candidates<ForwardCall<Bf16>>& All() {
  static const auto table = NarrowTable(LaunchForwardLoops<Bf16>);
  return table;
}

template <>
const Candidates<ForwardCall<Fp16>>& All() {
  static const auto table = NarrowTable(LaunchForwardLoops<Fp16>);
  return table;
}

template <>
const Candidates<ForwardCall<Tf32>>& All() {
  static const auto table = NarrowTable(LaunchForwardLoops<Tf32>);
  return table;
}

template <typename Value>
void Convolve(CUstream_st* stream, const ConvShape& shape, const Value* x,
              const Value* weights, const Epilogue<Value>& epilogue, Value* y) {
  ThreeAxes<int64_t>(shape);  // or throws
  const ForwardCall<Value> call = {shape, x, weights, epilogue, y};
  LaunchChosen(stream, call);
}

#define P3D_INSTANTIATE(Value)                                         \
  template void Convolve(CUstream_st*, const ConvShape&, const Value*, \
                         const Value*, const Epilogue<Value>&, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
P3D_INSTANTIATE(Tf32);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
