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
struct DataGradientCall {
  using Value = V;
  const ConvShape& shape;
  const Value *dy, *weights;
  bool add;
  Value* dx;
  RealOf<Value>* scratch;

  void Describe(ConvForm* form, ConvPlaces* places) const {
    form->use = ConvUse::kDataGradient;
    form->residual = add;
    *places = {dy, weights, nullptr, nullptr, add ? dx : nullptr, dx};
  }
  void MakeAt(const ConvPlaces& places) {
    dx = static_cast<Value*>(places.result);
  }
};

TapSlices DataGradientSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return TapSlices();
  const Problem<int> at = ThreeAxes<int>(shape);
  const int slabs = SlabsOf(at.taps(), at.outputs);
  // Tiles take two slabs at a time.
  return {slabs,
          WantedTapSlices(slabs, shape.num * shape.in_pixels(), at.inputs,
                          shape.group),
          2};
}

// How many slices tensor cores are to have, whatever the kind of values.
int64_t DataGradientMmaSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return 1;
  return WantedMmaSlices(shape.taps() * shape.num_output / shape.group,
                         shape.num * shape.in_pixels(),
                         shape.channels / shape.group, shape.group);
}

template <typename Value>
void JoinIfMany(CUstream_st* stream, const TapSlices& slices,
                const DataGradientCall<Value>& call) {
  if (slices.count == 1) return;
  const ConvShape& shape = call.shape;
  const int64_t count = shape.num * shape.in_pixels() * shape.channels;
  ForEach(
      stream, "ConvDataGradient join", count,
      JoinSlices<Value>{slices.count, count, call.scratch, call.add, call.dx});
}

// Input pixels times inputs; k goes through the taps and their outputs. Each
// slice has an array of its own.
template <typename Dtype, int side, bool whole>
struct DataGradientJob {
  TileGrid grid;
  Problem<int> at;
  int slice;  // slabs of one
  const Dtype *dy, *weights;
  bool add;
  Dtype* dx;

  class Reader {
   public:
    static constexpr bool kAlongA = true, kAlongB = false;

    P3D_HOST_DEVICE Reader(const DataGradientJob& job, const TilePlace& place,
                           int lane)
        : at_(job.at),
          spot_a_(Spot::Along(lane)),
          spot_b_(Spot::Across(side, lane)),
          q_(place.row + spot_a_.outer, at_.l.in, at_.h.in, at_.w.in),
          has_pixel_(q_.n < at_.num),
          column_(place.column + spot_b_.outer),
          tap_size_(at_.taps() * at_.inputs),
          stretch_(at_.taps(), at_.outputs, job.slice, place.slice),
          tap_(at_, stretch_.tap),
          first_(stretch_.first) {
      const int first = place.group * at_.outputs;
      image_ =
          job.dy + int64_t{q_.n} * at_.out_pixels() * at_.num_output + first;
      weights_ =
          job.weights + int64_t{first} * tap_size_ + tap_.index * at_.inputs;
      Aim();
    }

    P3D_HOST_DEVICE int slabs() const { return stretch_.slabs; }
    P3D_HOST_DEVICE Four<Dtype> A() const {
      return Read<whole>(from_, first_ + spot_a_.k, 0, end_);
    }
    P3D_HOST_DEVICE Four<Dtype> B() const {
      const int o = first_ + spot_b_.k;
      return Read<whole>(weights_ + int64_t{o} * tap_size_, column_, 0,
                         o < end_b_ ? at_.inputs : 0);
    }
    P3D_HOST_DEVICE void Next() {
      first_ += kSlab;
      if (first_ < at_.outputs) return;
      first_ = 0;
      tap_.Next(at_);
      weights_ += at_.inputs;
      Aim();
    }

   private:
    // At the output pixel whose tap sees this thread's pixel, if there is one.
    P3D_HOST_DEVICE void Aim() {
      const int l = at_.l.SeenBy(q_.l, tap_.l), h = at_.h.SeenBy(q_.h, tap_.h),
                w = at_.w.SeenBy(q_.w, tap_.w);
      const bool past = tap_.l >= at_.l.kernel;
      const bool seen = has_pixel_ && l >= 0 && h >= 0 && w >= 0 && !past;
      const int pixel = (l * at_.h.out + h) * at_.w.out + w;
      from_ = image_ + int64_t{pixel} * at_.num_output;
      end_ = seen ? at_.outputs : 0;
      end_b_ = past ? 0 : at_.outputs;
    }

    const Problem<int>& at_;
    const Spot spot_a_, spot_b_;
    const Pixel<int> q_;
    const bool has_pixel_;
    const int column_;    // the first of four inputs
    const int tap_size_;  // from one output's weights to the next one's
    const Stretch stretch_;
    Tap tap_;
    int first_;  // output of the slab
    const Dtype *image_, *from_, *weights_;
    int end_, end_b_;
  };

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const Four<Dtype>& sums) const {
    if (row >= at.num * at.in_pixels() || column >= at.inputs) return;
    const int64_t pixels = int64_t{at.num} * at.in_pixels();
    Dtype* to = dx + (place.slice * pixels + row) * at.channels +
                place.group * at.inputs;
    Write<whole>(sums, add, to, column, at.inputs);
  }
};

template <typename Dtype, int side, bool whole>
struct DataGradientTiles {
  using Call = DataGradientCall<Dtype>;
  using Kernel = Tiles<Dtype, side, DataGradientJob<Dtype, side, whole>>;

  static TileGrid Grid(const ConvShape& shape, int64_t slices = 1) {
    return {side, shape.num * shape.in_pixels(), shape.channels / shape.group,
            shape.group, slices};
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t terms = shape.taps() * shape.num_output / shape.group;
    return shape.pad_mode == PadMode::kZero && FitsInt(shape) &&
           Grid(shape).blocks() <= kMaxTiles && Kernel::CanSum(terms) &&
           (!whole ||
            (InFours(shape) && Aligned(call.dy) && Aligned(call.weights) &&
             Aligned(call.dx) && Aligned(call.scratch)));
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return TilesSuit(side, Grid(shape), shape.num * shape.in_pixels(),
                     shape.channels / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const ConvShape& shape = call.shape;
    const Problem<int> at = ThreeAxes<int>(shape);
    TapSlices slices = DataGradientSlices(shape);
    if (!call.scratch) slices.Join();
    const bool one = slices.count == 1;
    const TileGrid grid = Grid(shape, slices.count);
    MakeTiles(stream, "ConvDataGradient", grid.blocks(),
              Kernel{{grid, at, slices.length, call.dy, call.weights,
                      one && call.add, one ? call.dx : call.scratch}});
    JoinIfMany(stream, slices, call);
  }
};

// The same on tensor cores.
template <typename Value, int rows, int columns, bool whole>
struct DataGradientMmaJob {
  using Out = Value;
  static constexpr int kOut = 16 / sizeof(Out);
  TileGrid grid;
  Problem<int> at;
  const Value *dy, *weights;
  bool add;  // false where there are parts
  Value* dx;
  int slice;     // slabs of one
  float* parts;  // an array of sums for each, null where there is one slice

  class Reader {
   public:
    using OperandA = Operand<Value, rows, true>;
    using OperandB = Operand<Value, columns, false>;

    P3D_HOST_DEVICE Reader(const DataGradientMmaJob& job, int row, int column,
                           const TilePlace& place, int lane)
        : at_(job.at),
          first_slab_(place.slice * job.slice),
          slabs_(
              static_cast<int>(Smaller(job.slice, Slabs(at_) - first_slab_))),
          along_(at_.outputs, OperandA::First(lane)),
          seen_(at_, row + OperandA::Line(lane), OperandA::kApart),
          width_(along_.width()),
          output_b_(OperandB::Line(lane)),
          input_(column + OperandB::First(lane)) {
      const int first = place.group * at_.outputs;
      dy_ = job.dy + first;
      weights_ = job.weights + int64_t{first} * at_.taps() * at_.inputs;
      along_.Add(at_, first_slab_ * OperandA::kDepth);
      AddB(first_slab_ * OperandA::kDepth);
      seen_.Aim(at_, along_.tap());
    }

    // Of all slices.
    static P3D_HOST_DEVICE int Slabs(const Problem<int>& at) {
      return SlabsAlong(at, at.outputs, OperandA::kPiece, OperandA::kDepth);
    }
    P3D_HOST_DEVICE int slabs() const { return slabs_; }
    P3D_HOST_DEVICE Piece<Value> A(int i) const {
      return {dy_ + int64_t{seen_.At(i)} * at_.num_output, along_.first(), 0,
              seen_.Sees(i) ? at_.outputs : 0};
    }
    P3D_HOST_DEVICE Piece<Value> B(int) {
      const bool has = output_b_ < at_.outputs && tap_b_ < at_.taps();
      const Value* row =
          weights_ + int64_t{output_b_ * at_.taps() + tap_b_} * at_.inputs;
      AddB(OperandB::kApart);
      return {row, input_, 0, has ? at_.inputs : 0};
    }
    P3D_HOST_DEVICE void Next() {
      if (along_.Add(at_, OperandA::kDepth)) seen_.Aim(at_, along_.tap());
    }

   private:
    P3D_HOST_DEVICE void AddB(int outputs) {
      output_b_ += outputs;
      while (output_b_ >= width_) {
        output_b_ -= width_;
        ++tap_b_;
      }
    }

    const Problem<int>& at_;
    const int first_slab_, slabs_;
    Along<OperandA::kPiece> along_;
    SeenRows<ToOutput, OperandA::kCopies> seen_;
    const int width_;  // outputs, filled up to whole pieces
    int output_b_, tap_b_ = 0;
    const int input_;
    const Value *dy_, *weights_;
  };

  struct OfColumn {
    P3D_HOST_DEVICE OfColumn(const DataGradientMmaJob&, const TilePlace&, int) {
    }
  };

  P3D_HOST_DEVICE Values<Value, kOut> Old(const TilePlace& place, int row,
                                          int column) const {
    const bool has = add && row < at.num * at.in_pixels();
    return Read<whole, kOut>(dx + First(place, row), column, 0,
                             has ? at.inputs : 0);
  }

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const OfColumn&, const Values<float, kOut>& sums,
                             const Values<Value, kOut>& old) const {
    if (row >= at.num * at.in_pixels() || column >= at.inputs) return;
    if (parts) {
      const int64_t count = int64_t{at.num} * at.in_pixels() * at.channels;
      return Write<whole>(sums, false,
                          parts + place.slice * count + First(place, row),
                          column, at.inputs);
    }
    Values<Value, kOut> values;
    P3D_UNROLL
    for (int i = 0; i < kOut; ++i)
      values.v[i] = add ? old.v[i] + sums.v[i] : sums.v[i];
    Write<whole>(values, false, dx + First(place, row), column, at.inputs);
  }

  // Where the group's inputs of a pixel begin.
  P3D_HOST_DEVICE int64_t First(const TilePlace& place, int row) const {
    return int64_t{row} * at.channels + place.group * at.inputs;
  }
};

template <typename Value, int rows, int columns, bool whole>
struct DataGradientMma {
  using Call = DataGradientCall<Value>;
  using Job = DataGradientMmaJob<Value, rows, columns, whole>;

  static TileGrid Grid(const ConvShape& shape, int64_t slices = 1) {
    return MmaGrid(rows, columns, shape.num * shape.in_pixels(),
                   shape.channels / shape.group, shape.group, slices);
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    return shape.pad_mode == PadMode::kZero && FitsInt(shape) &&
           Grid(shape).blocks() <= kMaxTiles &&
           SeenRows<ToOutput, 1>::Can(ThreeAxes<int>(shape)) &&
           (!whole || (InParts(shape, Job::Reader::OperandA::kPiece) &&
                       Aligned(call.dy) && Aligned(call.weights) &&
                       Aligned(call.dx) && Aligned(call.scratch))) &&
           HasMma<Value>();
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return MmaSuits(rows, columns, Grid(shape), shape.num * shape.in_pixels(),
                    shape.channels / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const ConvShape& shape = call.shape;
    const Problem<int> at = ThreeAxes<int>(shape);
    TapSlices slices(Job::Reader::Slabs(at), DataGradientMmaSlices(shape), 1);
    if (!call.scratch) slices.Join();
    const bool one = slices.count == 1;
    const TileGrid grid = Grid(shape, slices.count);
    MakeMmaTiles(stream, "ConvDataGradient", grid.blocks(),
                 MmaTiles<Value, rows, columns, whole, Job>{
                     {grid, at, call.dy, call.weights, one && call.add, call.dx,
                      slices.length, one ? nullptr : call.scratch}});
    JoinIfMany(stream, slices, call);
  }
};

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

template <typename Value>
void LaunchDataGradientLoops(CUstream_st* stream,
                             const DataGradientCall<Value>& call) {
  const auto at = ThreeAxes<int64_t>(call.shape);
  ForEach(
      stream, "ConvDataGradient", at.num * at.in_pixels() * at.channels,
      DataGradientLoops<Value>{at, call.dy, call.weights, call.add, call.dx});
}

}  // namespace

template <>
const Candidates<DataGradientCall<float>>& All() {
  static const auto table =
      FloatTable<DataGradientTiles>(LaunchDataGradientLoops<float>);
  return table;
}

template <>
const Candidates<DataGradientCall<double>>& All() {
  static const auto table =
      DoubleTable<DataGradientTiles>(LaunchDataGradientLoops<double>);
  return table;
}

static void LaunchDataGradientFloats(CUstream_st* stream,
                                     const DataGradientCall<Tf32>& call) {
  const DataGradientCall<float> floats = {
      call.shape,
      reinterpret_cast<const float*>(call.dy),
      reinterpret_cast<const float*>(call.weights),
      call.add,
      reinterpret_cast<float*>(call.dx),
      call.scratch};
  Chosen(floats).launch(stream, floats);
}

template <>
const Candidates<DataGradientCall<Bf16>>& All() {
  static const auto table =
      NarrowTable<DataGradientMma, Bf16>(LaunchDataGradientLoops<Bf16>);
  return table;
}

template <>
const Candidates<DataGradientCall<Fp16>>& All() {
  static const auto table =
      NarrowTable<DataGradientMma, Fp16>(LaunchDataGradientLoops<Fp16>);
  return table;
}

template <>
const Candidates<DataGradientCall<Tf32>>& All() {
  static const auto table = NarrowTable<DataGradientMma, Tf32>(
      LaunchDataGradientLoops<Tf32>, {Floats(LaunchDataGradientFloats)});
  return table;
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
