#include "kernels/conv_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/conv_candidate_cuda.hpp"
#include "kernels/conv_library_cuda.hpp"
#include "kernels/conv_problem_cuda.hpp"
#include "kernels/conv_slices_cuda.hpp"
#include "kernels/conv_tile_cuda.hpp"
#include "kernels/cuda_launch.hpp"
#include "kernels/mma_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename V>
struct WeightGradientCall {
  using Value = V;
  const ConvShape& shape;
  const Value *dy, *x;
  RealOf<Value>* scratch;
  bool add;
  RealOf<Value>* dw;

  void Describe(ConvForm* form, ConvPlaces* places) const {
    form->use = ConvUse::kWeightGradient;
    form->residual = add;
    *places = {dy, x, nullptr, nullptr, add ? dw : nullptr, dw};
  }
  void MakeAt(const ConvPlaces& places) {
    dw = static_cast<RealOf<Value>*>(places.result);
  }
};

// The output pixels of all images, cut into slices whose sums are taken side by
// side: so many that a GPU is busy, none with too many terms.
struct Slices {
  explicit Slices(const ConvShape& shape) {
    const int64_t pixels = shape.num * shape.out_pixels();
    const int64_t inputs = shape.channels / shape.group;
    const TileGrid grid(64, shape.num_output / shape.group,
                        shape.taps() * inputs, shape.group);
    const int64_t wanted = WantedSlices(grid.blocks(), pixels);
    const int64_t least = (pixels + kTerms - 1) / kTerms;
    count = std::max(wanted, least);
    length = (pixels + count - 1) / count;
    count = (pixels + length - 1) / length;
  }
  int64_t count, length;
};

// A column of the product: a tap and the first of `few` inputs.
template <int few = 4>
struct Column {
  P3D_HOST_DEVICE Column(const Problem<int>& at, int column) {
    const int width = (at.inputs + few - 1) / few * few;
    tap = Tap(at, column / width);
    input = column - tap.index * width;
  }
  static int64_t Count(const Problem<int>& at) {
    return int64_t{at.taps()} * ((at.inputs + few - 1) / few * few);
  }
  Tap tap;
  int input;
};

// Outputs times taps and their inputs, those of a tap in whole fours; k goes
// through the pixels of a slice. Each slice has an array of its own.
template <typename Dtype, int side, bool whole>
struct WeightGradientJob {
  TileGrid grid;
  Problem<int> at;
  int slice;        // pixels of one
  Pixel<int> slab;  // 8 pixels, as steps along the axes
  const Dtype *dy, *x;
  bool add;
  Dtype* dw;

  class Reader {
   public:
    static constexpr bool kAlongA = false, kAlongB = false;

    P3D_HOST_DEVICE Reader(const WeightGradientJob& job, const TilePlace& place,
                           int lane)
        : job_(job),
          at_(job.at),
          spot_(Spot::Across(side, lane)),
          first_(place.slice * job.slice),
          end_(static_cast<int>(
              Smaller(first_ + job.slice, at_.num * at_.out_pixels()))),
          pixel_(first_ + spot_.k),
          p_(pixel_, at_.l.out, at_.h.out, at_.w.out),
          output_(place.row + spot_.outer),
          first_output_(place.group * at_.outputs),
          column_(at_, place.column + spot_.outer),
          first_input_(place.group * at_.inputs) {}

    P3D_HOST_DEVICE int slabs() const {
      return (end_ - first_ + kSlab - 1) / kSlab;
    }
    P3D_HOST_DEVICE Four<Dtype> A() const {
      const Dtype* from =
          job_.dy + int64_t{pixel_} * at_.num_output + first_output_;
      return Read<whole>(from, output_, 0, pixel_ < end_ ? at_.outputs : 0);
    }
    P3D_HOST_DEVICE Four<Dtype> B() const {
      const int l = at_.l.At(p_.l, column_.tap.l),
                h = at_.h.At(p_.h, column_.tap.h);
      const int line = at_.w.in * at_.channels;
      const int place =
          at_.w.At(p_.w, column_.tap.w) * at_.channels + first_input_;
      const bool seen = pixel_ < end_ && column_.tap.l < at_.l.kernel &&
                        at_.l.Has(l) && at_.h.Has(h);
      const int64_t row = (int64_t{p_.n} * at_.l.in + l) * at_.h.in + h;
      const int end = static_cast<int>(Smaller(at_.inputs, line - place));
      return Read<whole>(job_.x + row * line + place, column_.input, -place,
                         seen ? end : 0);
    }
    P3D_HOST_DEVICE void Next() {
      pixel_ += kSlab;
      p_.Add(job_.slab, at_.l.out, at_.h.out, at_.w.out);
    }

   private:
    const WeightGradientJob& job_;
    const Problem<int>& at_;
    const Spot spot_;
    const int first_, end_;  // pixels of the slice
    int pixel_;              // through all images; p_ is it taken apart
    Pixel<int> p_;
    const int output_, first_output_;
    const Column<> column_;
    const int first_input_;
  };

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const Four<Dtype>& sums) const {
    const Column<> at_column(at, column);
    if (row >= at.outputs || at_column.tap.l >= at.l.kernel) return;
    const int64_t o =
        int64_t{place.slice} * at.num_output + place.group * at.outputs + row;
    Dtype* to = dw + (o * at.taps() + at_column.tap.index) * at.inputs;
    Write<whole>(sums, add, to, at_column.input, at.inputs);
  }
};

template <typename Value>
void JoinIfMany(CUstream_st* stream, const Slices& slices,
                const WeightGradientCall<Value>& call) {
  if (slices.count == 1) return;
  const int64_t count = call.shape.weight_count();
  ForEach(stream, "ConvWeightGradient join", count,
          JoinSlices<RealOf<Value>>{slices.count, count, call.scratch, call.add,
                                    call.dw});
}

template <typename Dtype, int side, bool whole>
struct WeightGradientTiles {
  using Call = WeightGradientCall<Dtype>;
  using Kernel = Tiles<Dtype, side, WeightGradientJob<Dtype, side, whole>>;

  static TileGrid Grid(const ConvShape& shape) {
    const int64_t columns = Column<>::Count(Folded(ThreeAxes<int>(shape)));
    return {side, shape.num_output / shape.group, columns, shape.group,
            Slices(shape).count};
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    return FitsInt(shape) && Grid(shape).blocks() <= kMaxTiles &&
           (!whole || (InFours(shape) && Aligned(call.dy) && Aligned(call.x) &&
                       Aligned(call.scratch) && Aligned(call.dw)));
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t outputs = shape.num_output / shape.group;
    return outputs >= 8 && TilesSuit(side, Grid(shape), outputs,
                                     shape.weight_count() / shape.num_output);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const Slices slices(call.shape);
    const TileGrid grid = Grid(call.shape);
    const Problem<int> at = Folded(ThreeAxes<int>(call.shape));
    const bool one = slices.count == 1;
    MakeTiles(stream, "ConvWeightGradient", grid.blocks(),
              Kernel{{grid, at, static_cast<int>(slices.length),
                      Pixel<int>(kSlab, at.l.out, at.h.out, at.w.out), call.dy,
                      call.x, one && call.add, one ? call.dw : call.scratch}});
    JoinIfMany(stream, slices, call);
  }
};

// The same on tensor cores.
template <typename Value, int rows, int columns, bool whole>
struct WeightGradientMmaJob {
  using Out = float;
  TileGrid grid;
  Problem<int> at;
  int slice;         // pixels of one
  Pixel<int> apart;  // what a thread's pieces of b are apart, along the axes
  const Value *dy, *x;
  bool add;
  float* dw;

  class Reader {
   public:
    using OperandA = Operand<Value, rows, false>;
    using OperandB = Operand<Value, columns, false>;

    P3D_HOST_DEVICE Reader(const WeightGradientMmaJob& job, int row, int column,
                           const TilePlace& place, int lane)
        : job_(job),
          at_(job.at),
          first_(place.slice * job.slice),
          end_(static_cast<int>(
              Smaller(first_ + job.slice, at_.num * at_.out_pixels()))),
          pixel_a_(first_ + OperandA::Line(lane)),
          pixel_b_(first_ + OperandB::Line(lane)),
          p_(pixel_b_, at_.l.out, at_.h.out, at_.w.out),
          output_(row + OperandA::First(lane)),
          first_output_(place.group * at_.outputs),
          column_(at_, column + OperandB::First(lane)),
          first_input_(place.group * at_.inputs) {}

    P3D_HOST_DEVICE int slabs() const {
      return (end_ - first_ + OperandA::kDepth - 1) / OperandA::kDepth;
    }
    P3D_HOST_DEVICE Piece<Value> A(int i) const {
      const int pixel = pixel_a_ + i * OperandA::kApart;
      return {job_.dy + int64_t{pixel} * at_.num_output + first_output_,
              output_, 0, pixel < end_ ? at_.outputs : 0};
    }
    P3D_HOST_DEVICE Piece<Value> B(int) {
      const int l = at_.l.At(p_.l, column_.tap.l),
                h = at_.h.At(p_.h, column_.tap.h);
      const int line = at_.w.in * at_.channels;
      const int place =
          at_.w.At(p_.w, column_.tap.w) * at_.channels + first_input_;
      const bool seen = pixel_b_ < end_ && column_.tap.l < at_.l.kernel &&
                        at_.l.Has(l) && at_.h.Has(h);
      const int64_t row = (int64_t{p_.n} * at_.l.in + l) * at_.h.in + h;
      const int left = line - place;
      const int end = at_.inputs < left ? at_.inputs : left;
      pixel_b_ += OperandB::kApart;
      p_.Add(job_.apart, at_.l.out, at_.h.out, at_.w.out);
      return {job_.x + row * line + place, column_.input, -place,
              seen ? end : 0};
    }
    P3D_HOST_DEVICE void Next() { pixel_a_ += OperandA::kDepth; }

   private:
    const WeightGradientMmaJob& job_;
    const Problem<int>& at_;
    const int first_, end_;  // pixels of the slice
    int pixel_a_, pixel_b_;  // through all images; p_ is the second taken apart
    Pixel<int> p_;
    const int output_, first_output_;
    const Column<OperandB::kPiece> column_;
    const int first_input_;
  };

  // Whose column it is, and where its weights of the first output are.
  struct OfColumn {
    P3D_HOST_DEVICE OfColumn(const WeightGradientMmaJob& job,
                             const TilePlace& place, int column)
        : column(job.at, column),
          first(job.dw + First(job.at, place) +
                int64_t{this->column.tap.index} * job.at.inputs) {}
    Column<Reader::OperandB::kPiece> column;
    float* first;

   private:
    static P3D_HOST_DEVICE int64_t First(const Problem<int>& at,
                                         const TilePlace& place) {
      const int64_t o =
          int64_t{place.slice} * at.num_output + place.group * at.outputs;
      return o * at.taps() * at.inputs;
    }
  };

  P3D_HOST_DEVICE Values<float, 4> Old(const TilePlace&, int, int) const {
    return {};
  }

  P3D_HOST_DEVICE void Store(const TilePlace&, int row, int,
                             const OfColumn& of_column, const Four<float>& sums,
                             const Four<float>&) const {
    const auto& column = of_column.column;
    if (row >= at.outputs || column.tap.l >= at.l.kernel) return;
    float* to = of_column.first + int64_t{row} * at.taps() * at.inputs;
    Write<whole>(sums, add, to, column.input, at.inputs);
  }
};

template <typename Value, int rows, int columns, bool whole>
struct WeightGradientMma {
  using Call = WeightGradientCall<Value>;
  using Job = WeightGradientMmaJob<Value, rows, columns, whole>;
  using OperandB = typename Job::Reader::OperandB;

  static Problem<int> At(const ConvShape& shape) {
    const auto at = ThreeAxes<int>(shape);
    return whole ? at : Folded(at);
  }
  static TileGrid Grid(const ConvShape& shape) {
    return MmaGrid(rows, columns, shape.num_output / shape.group,
                   Column<OperandB::kPiece>::Count(At(shape)), shape.group,
                   Slices(shape).count);
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    return FitsInt(shape) && Grid(shape).blocks() <= kMaxTiles &&
           (!whole ||
            (InParts(shape, OperandB::kPiece) && Aligned(call.dy) &&
             Aligned(call.x) && Aligned(call.scratch) && Aligned(call.dw))) &&
           HasMma<Value>();
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t outputs = shape.num_output / shape.group;
    return outputs >= 8 && MmaSuits(rows, columns, Grid(shape), outputs,
                                    shape.weight_count() / shape.num_output);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const Slices slices(call.shape);
    const TileGrid grid = Grid(call.shape);
    const Problem<int> at = At(call.shape);
    const bool one = slices.count == 1;
    MakeMmaTiles(
        stream, "ConvWeightGradient", grid.blocks(),
        MmaTiles<Value, rows, columns, whole, Job>{
            {grid, at, static_cast<int>(slices.length),
             Pixel<int>(OperandB::kApart, at.l.out, at.h.out, at.w.out),
             call.dy, call.x, one && call.add, one ? call.dw : call.scratch}});
    JoinIfMany(stream, slices, call);
  }
};

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

template <typename Value>
void LaunchWeightGradientLoops(CUstream_st* stream,
                               const WeightGradientCall<Value>& call) {
  const auto at = ThreeAxes<int64_t>(call.shape);
  SumRows(stream, "ConvWeightGradient", call.shape.weight_count(),
          WeightGradientRows<Value>{at, call.dy, call.x, call.add, call.dw});
}

}  // namespace

template <>
const Candidates<WeightGradientCall<float>>& All() {
  static const auto table =
      FloatTable<WeightGradientTiles>(LaunchWeightGradientLoops<float>);
  return table;
}

template <>
const Candidates<WeightGradientCall<double>>& All() {
  static const auto table =
      DoubleTable<WeightGradientTiles>(LaunchWeightGradientLoops<double>);
  return table;
}

static void LaunchWeightGradientFloats(CUstream_st* stream,
                                       const WeightGradientCall<Tf32>& call) {
  const WeightGradientCall<float> floats = {
      call.shape,
      reinterpret_cast<const float*>(call.dy),
      reinterpret_cast<const float*>(call.x),
      call.scratch,
      call.add,
      call.dw};
  Chosen(floats).launch(stream, floats);
}

template <>
const Candidates<WeightGradientCall<Bf16>>& All() {
  static const auto table =
      NarrowTable<WeightGradientMma, Bf16>(LaunchWeightGradientLoops<Bf16>);
  return table;
}

template <>
const Candidates<WeightGradientCall<Fp16>>& All() {
  static const auto table =
      NarrowTable<WeightGradientMma, Fp16>(LaunchWeightGradientLoops<Fp16>);
  return table;
}

template <>
const Candidates<WeightGradientCall<Tf32>>& All() {
  static const auto table = NarrowTable<WeightGradientMma, Tf32>(
      LaunchWeightGradientLoops<Tf32>, {Floats(LaunchWeightGradientFloats)});
  return table;
}

int64_t ConvWeightGradientScratch(const ConvShape& shape) {
  ThreeAxes<int64_t>(shape);  // or throws
  const int64_t slices = Slices(shape).count;
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
