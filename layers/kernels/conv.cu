#include "kernels/conv_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/conv_candidate_cuda.hpp"
#include "kernels/conv_library_cuda.hpp"
#include "kernels/conv_problem_cuda.hpp"
#include "kernels/conv_seen_cuda.hpp"
#include "kernels/conv_slices_cuda.hpp"
#include "kernels/conv_tile_cuda.hpp"
#include "kernels/cuda_launch.hpp"
#include "kernels/mma_tile_cuda.hpp"

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
  RealOf<Value>* scratch;

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

TapSlices ForwardSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return TapSlices();
  const Problem<int> at = Folded(ThreeAxes<int>(shape));
  const int slabs = SlabsOf(at.taps(), at.inputs);
  // Tiles take two slabs at a time.
  return {slabs,
          WantedTapSlices(slabs, shape.num * shape.out_pixels(),
                          shape.num_output / shape.group, shape.group),
          2};
}

// How many slices tensor cores are to have, whatever the kind of values.
int64_t ForwardMmaSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return 1;
  return WantedMmaSlices(shape.taps() * shape.channels / shape.group,
                         shape.num * shape.out_pixels(),
                         shape.num_output / shape.group, shape.group);
}

// Output pixels times outputs; k goes through the taps and their inputs.
template <typename Dtype, int side, bool whole>
struct ForwardJob {
  TileGrid grid;
  Problem<int> at;
  const Dtype *x, *weights;
  Epilogue<Dtype> epilogue;
  Dtype* y;
  int slice;     // slabs of one
  Dtype* parts;  // an array of sums for each, null where there is one slice

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
          image_(job.x + int64_t{p_.n} * at_.in_pixels() * at_.channels),
          stretch_(at_.taps(), at_.inputs, job.slice, place.slice),
          tap_(at_, stretch_.tap),
          first_(stretch_.first) {
      const int o = place.group * at_.outputs + place.column + spot_.outer;
      weights_ =
          job.weights + (int64_t{o} * at_.taps() + tap_.index) * at_.inputs;
      Aim();
    }

    P3D_HOST_DEVICE int slabs() const { return stretch_.slabs; }
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
    const Stretch stretch_;
    Tap tap_;
    int first_;  // input of the slab
    const Dtype *from_, *weights_;
    int begin_, end_, end_b_;
  };

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const Four<Dtype>& sums) const {
    if (row >= at.num * at.out_pixels() || column >= at.outputs) return;
    const int first = place.group * at.outputs;
    const int64_t to = int64_t{row} * at.num_output + first;
    if (parts) {
      const int64_t count = int64_t{at.num} * at.out_pixels() * at.num_output;
      return Write<whole>(sums, false, parts + place.slice * count + to, column,
                          at.outputs);
    }
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

template <typename Value>
struct JoinForward {
  using Real = RealOf<Value>;
  int64_t slices, count;
  const Real* parts;
  Epilogue<Value> epilogue;
  Value* y;

  P3D_HOST_DEVICE void operator()(int64_t i, int64_t o) const {
    y[i] = epilogue(JoinedValue(slices, count, parts, i), o, i);
  }
};

template <typename Value>
void JoinIfMany(CUstream_st* stream, const TapSlices& slices,
                const ForwardCall<Value>& call) {
  if (slices.count == 1) return;
  const ConvShape& shape = call.shape;
  const Broadcast outputs = {shape.num * shape.out_pixels(), shape.num_output,
                             1};
  ForEachValue(stream, "Convolve join", outputs,
               JoinForward<Value>{slices.count, outputs.count(), call.scratch,
                                  call.epilogue, call.y});
}

template <typename Dtype, int side, bool whole>
struct ForwardTiles {
  using Call = ForwardCall<Dtype>;
  using Kernel = Tiles<Dtype, side, ForwardJob<Dtype, side, whole>>;

  static TileGrid Grid(const ConvShape& shape, int64_t slices = 1) {
    return {side, shape.num * shape.out_pixels(),
            shape.num_output / shape.group, shape.group, slices};
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t terms = shape.taps() * shape.channels / shape.group;
    return FitsInt(shape) && Grid(shape).blocks() <= kMaxTiles &&
           Kernel::CanSum(terms) &&
           (!whole ||
            (InFours(shape) && Aligned(call.x) && Aligned(call.weights) &&
             Aligned(call.y) && Aligned(call.scratch)));
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return TilesSuit(side, Grid(shape), shape.num * shape.out_pixels(),
                     shape.num_output / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const ConvShape& shape = call.shape;
    TapSlices slices = ForwardSlices(shape);
    if (!call.scratch) slices.Join();
    const bool one = slices.count == 1;
    const TileGrid grid = Grid(shape, slices.count);
    const Problem<int> at = Folded(ThreeAxes<int>(shape));
    MakeTiles(stream, "Convolve", grid.blocks(),
              Kernel{{grid, at, call.x, call.weights, call.epilogue, call.y,
                      slices.length, one ? nullptr : call.scratch}});
    JoinIfMany(stream, slices, call);
  }
};

// The same on tensor cores.
template <typename Value, int rows, int columns, bool whole>
struct ForwardMmaJob {
  using Out = Value;
  static constexpr int kOut = 16 / sizeof(Out);
  TileGrid grid;
  Problem<int> at;
  const Value *x, *weights;
  Epilogue<Value> epilogue;  // does nothing where there are parts
  Value* y;
  int slice;     // slabs of one
  float* parts;  // an array of sums for each, null where there is one slice

  class Reader {
   public:
    using OperandA = Operand<Value, rows, true>;
    using OperandB = Operand<Value, columns, true>;

    P3D_HOST_DEVICE Reader(const ForwardMmaJob& job, int row, int column,
                           const TilePlace& place, int lane)
        : at_(job.at),
          first_slab_(place.slice * job.slice),
          slabs_(
              static_cast<int>(Smaller(job.slice, Slabs(at_) - first_slab_))),
          along_(at_.inputs, OperandA::First(lane)),
          seen_(at_, row + OperandA::Line(lane), OperandA::kApart, whole),
          output_(column + OperandB::Line(lane)),
          x_(job.x + place.group * at_.inputs),
          weights_(job.weights + int64_t{place.group} * at_.outputs *
                                     at_.taps() * at_.inputs) {
      if (!whole) {
        for (int i = 0; i < OperandA::kCopies; ++i) {
          const int p =
              (row + OperandA::Line(lane) + i * OperandA::kApart) % at_.w.out;
          line_[i] = ToInput::Start(at_.w, p) * at_.channels +
                     place.group * at_.inputs;
        }
      }
      along_.Add(at_, first_slab_ * OperandA::kDepth);
      seen_.Aim(at_, along_.tap());
    }

    // Of all slices.
    static P3D_HOST_DEVICE int Slabs(const Problem<int>& at) {
      return SlabsAlong(at, at.inputs, OperandA::kPiece, OperandA::kDepth);
    }
    P3D_HOST_DEVICE int slabs() const { return slabs_; }
    P3D_HOST_DEVICE Piece<Value> A(int i) const {
      const Value* row = x_ + int64_t{seen_.At(i)} * at_.channels;
      Piece<Value> piece = {row, along_.first(), 0,
                            seen_.Sees(i) ? at_.inputs : 0};
      if (!whole) Cut(i, &piece);
      return piece;
    }
    P3D_HOST_DEVICE Piece<Value> B(int i) const {
      const int o = output_ + i * OperandB::kApart;
      const bool has = o < at_.outputs && along_.tap().l < at_.l.kernel;
      const int place = o * at_.taps() + along_.tap().index;
      return {weights_ + int64_t{place} * at_.inputs, along_.first(), 0,
              has ? at_.inputs : 0};
    }
    P3D_HOST_DEVICE void Next() {
      if (along_.Add(at_, OperandA::kDepth)) seen_.Aim(at_, along_.tap());
    }

   private:
    // To what lies within the line of the image: the taps along w may be one.
    P3D_HOST_DEVICE void Cut(int i, Piece<Value>* piece) const {
      const int place =
          line_[i] + ToInput::Shift(at_.w, along_.tap().w) * at_.channels;
      const int left = at_.w.in * at_.channels - place;
      piece->begin = -place;
      piece->end = left < piece->end ? left : piece->end;
    }

    const Problem<int>& at_;
    const int first_slab_, slabs_;
    Along<OperandA::kPiece> along_;
    SeenRows<ToInput, OperandA::kCopies> seen_;
    const int output_;
    const Value *const x_, *const weights_;
    int line_[OperandA::kCopies];  // where each row's window begins, in values
  };

  struct OfColumn {
    P3D_HOST_DEVICE OfColumn(const ForwardMmaJob& job, const TilePlace& place,
                             int column)
        : scale{}, shift{} {
      const int outputs = job.at.outputs, first = place.group * outputs;
      const Epilogue<Value>& from = job.epilogue;
      if (from.scale)
        scale = Read<whole, kOut>(from.scale + first, column, 0, outputs);
      if (from.shift)
        shift = Read<whole, kOut>(from.shift + first, column, 0, outputs);
    }
    Values<float, kOut> scale, shift;
  };

  P3D_HOST_DEVICE Values<Value, kOut> Old(const TilePlace& place, int row,
                                          int column) const {
    const bool has = epilogue.residual && row < at.num * at.out_pixels();
    return Read<whole, kOut>(epilogue.residual + First(place, row), column, 0,
                             has ? at.outputs : 0);
  }

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const OfColumn& of_column,
                             const Values<float, kOut>& sums,
                             const Values<Value, kOut>& old) const {
    if (row >= at.num * at.out_pixels() || column >= at.outputs) return;
    if (parts) {
      const int64_t count = int64_t{at.num} * at.out_pixels() * at.num_output;
      return Write<whole>(sums, false,
                          parts + place.slice * count + First(place, row),
                          column, at.outputs);
    }
    Values<Value, kOut> values;
    P3D_UNROLL
    for (int i = 0; i < kOut; ++i) {
      values.v[i] = epilogue.Of(sums.v[i], of_column.scale.v[i],
                                of_column.shift.v[i], old.v[i]);
    }
    Write<whole>(values, false, y + First(place, row), column, at.outputs);
  }

  // Where the group's outputs of a pixel begin.
  P3D_HOST_DEVICE int64_t First(const TilePlace& place, int row) const {
    return int64_t{row} * at.num_output + place.group * at.outputs;
  }
};

template <typename Value, int rows, int columns, bool whole>
struct ForwardMma {
  using Call = ForwardCall<Value>;
  using Job = ForwardMmaJob<Value, rows, columns, whole>;

  static TileGrid Grid(const ConvShape& shape, int64_t slices = 1) {
    return MmaGrid(rows, columns, shape.num * shape.out_pixels(),
                   shape.num_output / shape.group, shape.group, slices);
  }
  static Problem<int> At(const ConvShape& shape) {
    const auto at = ThreeAxes<int>(shape);
    return whole ? at : Folded(at);
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    const Epilogue<Value>& epilogue = call.epilogue;
    return shape.pad_mode == PadMode::kZero && FitsInt(shape) &&
           Grid(shape).blocks() <= kMaxTiles &&
           SeenRows<ToInput, 1>::Can(At(shape)) &&
           (!whole ||
            (InParts(shape, Job::Reader::OperandA::kPiece) && Aligned(call.x) &&
             Aligned(call.weights) && Aligned(call.y) &&
             Aligned(epilogue.scale) && Aligned(epilogue.shift) &&
             Aligned(epilogue.residual) && Aligned(call.scratch))) &&
           HasMma<Value>();
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return MmaSuits(rows, columns, Grid(shape), shape.num * shape.out_pixels(),
                    shape.num_output / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const ConvShape& shape = call.shape;
    const Problem<int> at = At(shape);
    TapSlices slices(Job::Reader::Slabs(at), ForwardMmaSlices(shape), 1);
    if (!call.scratch) slices.Join();
    const bool one = slices.count == 1;
    const TileGrid grid = Grid(shape, slices.count);
    MakeMmaTiles(stream, "Convolve", grid.blocks(),
                 MmaTiles<Value, rows, columns, whole, Job>{
                     {grid, at, call.x, call.weights,
                      one ? call.epilogue : Epilogue<Value>(), call.y,
                      slices.length, one ? nullptr : call.scratch}});
    JoinIfMany(stream, slices, call);
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

const char* NameOf(float) { return "f32"; }
const char* NameOf(double) { return "f64"; }
const char* NameOf(Tf32) { return "tf32"; }
const char* NameOf(Bf16) { return "bf16"; }
const char* NameOf(Fp16) { return "fp16"; }

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

static void LaunchForwardFloats(CUstream_st* stream,
                                const ForwardCall<Tf32>& call) {
  const float* residual =
      reinterpret_cast<const float*>(call.epilogue.residual);
  const ForwardCall<float> floats = {
      call.shape,
      reinterpret_cast<const float*>(call.x),
      reinterpret_cast<const float*>(call.weights),
      call.epilogue.As<float>(residual),
      reinterpret_cast<float*>(call.y),
      call.scratch};
  Chosen(floats).launch(stream, floats);
}

template <>
const Candidates<ForwardCall<Bf16>>& All() {
  static const auto table =
      NarrowTable<ForwardMma, Bf16>(LaunchForwardLoops<Bf16>);
  return table;
}

template <>
const Candidates<ForwardCall<Fp16>>& All() {
  static const auto table =
      NarrowTable<ForwardMma, Fp16>(LaunchForwardLoops<Fp16>);
  return table;
}

template <>
const Candidates<ForwardCall<Tf32>>& All() {
  static const auto table = NarrowTable<ForwardMma, Tf32>(
      LaunchForwardLoops<Tf32>, {Floats(LaunchForwardFloats)});
  return table;
}

int64_t ConvolveScratch(const ConvShape& shape) {
  ThreeAxes<int64_t>(shape);  // or throws
  const int64_t slices =
      std::max<int64_t>(ForwardSlices(shape).count, ForwardMmaSlices(shape));
  return slices == 1
             ? 0
             : slices * shape.num * shape.out_pixels() * shape.num_output;
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
  RealOf<Value>* const scratch = nullptr;
  const ForwardCall<Value> call = {shape, nullptr, nullptr,
                                   {},    nullptr, scratch};
  return std::string("conv_") + NameOf(Value()) + "_cuda_" + Chosen(call).name;
}

#define P3D_INSTANTIATE(Value)                                                 \
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
