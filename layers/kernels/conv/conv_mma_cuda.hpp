#ifndef P3D_KERNELS_CONV_MMA_CUDA_HPP_
#define P3D_KERNELS_CONV_MMA_CUDA_HPP_

// Convolve on tensor cores: `By` says who multiplies, warps or groups of them
// (see mma_tile_cuda.hpp).

#include "kernels/conv/conv_call_cuda.hpp"
#include "kernels/conv/conv_seen_cuda.hpp"
#include "kernels/conv/mma_results_cuda.hpp"
#include "kernels/conv/mma_tile_cuda.hpp"

namespace p3d {
namespace cuda {

template <typename By, typename Value, int rows, int columns, bool whole>
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
  ResultRows<whole> results;  // whole ones, whatever the inputs

  class Reader {
   public:
    using OperandA = typename By::template Operand<Value, rows, true>;
    using OperandB = typename By::template Operand<Value, columns, true>;
    using Seen = SeenRows<ToInput, Value, OperandA>;

    P3D_HOST_DEVICE Reader(const ForwardMmaJob& job, int row, int column,
                           const TilePlace& place, int lane)
        : at_(job.at),
          first_slab_(place.slice * job.slice),
          slabs_(
              static_cast<int>(Smaller(job.slice, Slabs(at_) - first_slab_))),
          along_(at_.inputs, OperandA::First(lane)),
          seen_(at_, row, lane, job.seen, job.x + place.group * at_.inputs,
                at_.channels, whole),
          output_(column + OperandB::Line(lane)),
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
      if (whole) {
        P3D_UNROLL
        for (int i = 0; i < OperandB::kCopies; ++i) {
          const int places = at_.taps() * at_.inputs;
          outputs_[i] = Kept(weights_ + int64_t{OutputOf(i)} * places);
          places_[i] = Kept(OutputOf(i) < at_.outputs ? places : 0);
        }
      }
      along_.Add(at_, first_slab_ * OperandA::kDepth);
      place_ = first_slab_ * OperandA::kDepth + OperandB::First(lane);
      seen_.Aim(at_, along_.tap());
    }

    // Of all slices.
    static P3D_HOST_DEVICE int Slabs(const Problem<int>& at) {
      return SlabsAlong(at, at.inputs, OperandA::kPiece, OperandA::kDepth);
    }
    P3D_HOST_DEVICE int slabs() const { return slabs_; }
    P3D_HOST_DEVICE Piece<Value> A(int i) const {
      const int channel = along_.first(),
                left = whole ? OperandA::kPiece : at_.inputs - channel;
      Piece<Value> piece = {seen_.at(i, channel), 0, seen_.sees(i) ? left : 0};
      if (!whole) Cut(i, &piece);
      return piece;
    }
    P3D_HOST_DEVICE Piece<Value> B(int i) const {
      // Taps follow each other without a gap.
      if (whole) return {outputs_[i] + place_, 0, places_[i] - place_};
      const bool has =
          OutputOf(i) < at_.outputs && along_.tap().l < at_.l.kernel;
      const int place = OutputOf(i) * at_.taps() + along_.tap().index;
      return {weights_ + int64_t{place} * at_.inputs + along_.first(), 0,
              has ? at_.inputs - along_.first() : 0};
    }
    P3D_HOST_DEVICE void Next() {
      place_ += OperandA::kDepth;
      if (along_.Add(at_, OperandA::kDepth)) seen_.Aim(at_, along_.tap());
    }

   private:
    P3D_HOST_DEVICE int OutputOf(int i) const {
      return output_ + i * OperandB::kApart;
    }

    // To what lies within the line of the image: the taps along w may be one.
    P3D_HOST_DEVICE void Cut(int i, Piece<Value>* piece) const {
      const int place = line_[i] +
                        ToInput::Shift(at_.w, along_.tap().w) * at_.channels +
                        along_.first();
      const int left = at_.w.in * at_.channels - place;
      piece->begin = -place;
      piece->end = left < piece->end ? left : piece->end;
    }

    const Problem<int>& at_;
    const int first_slab_, slabs_;
    Along<OperandA::kPiece> along_;
    Seen seen_;
    const int output_;
    const Value* const weights_;
    int line_[OperandA::kCopies];  // where each row's window begins, in values
    const Value* outputs_[OperandB::kCopies];  // their weights
    int places_[OperandB::kCopies];  // so many; 0 of an output there is not
    int place_;
  };

  typename Reader::Seen::All seen;

  struct OfColumn {
    P3D_HOST_DEVICE OfColumn(const ForwardMmaJob& job, const TilePlace& place,
                             int column)
        : scale{}, shift{} {
      const int outputs = job.at.outputs, first = place.group * outputs;
      const Epilogue<Value>& from = job.epilogue;
      if (from.scale)
        scale = Read<whole, kOut>(from.scale + first, column, 0, outputs,
                                  job.results.is_whole);
      if (from.shift)
        shift = Read<whole, kOut>(from.shift + first, column, 0, outputs,
                                  job.results.is_whole);
    }
    Values<float, kOut> scale, shift;
  };

  P3D_HOST_DEVICE bool HasOld() const { return epilogue.residual; }
  P3D_HOST_DEVICE Values<Value, kOut> Old(const TilePlace& place, int row,
                                          int column) const {
    return results.template Get<kOut>(epilogue.residual, place, row, column);
  }

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const OfColumn& of_column,
                             Values<float, kOut> sums,
                             const Values<Value, kOut>& old) const {
    if (!results.Has(row, column)) return;
    if (parts) {
      float* const part = parts + place.slice * results.count();
      return results.Put(sums, place, row, column, part);
    }
    epilogue.template OfRun<kOut>(sums.v, of_column.scale.v, of_column.shift.v,
                                  old.v);
    Values<Value, kOut> values;
    Round<kOut>(sums.v, values.v);
    results.Put(values, place, row, column, y);
  }
};

template <typename By, typename Value, int rows, int columns, bool whole>
struct ForwardMma {
  using Call = ForwardCall<Value>;
  using Job = ForwardMmaJob<By, Value, rows, columns, whole>;
  using Tiles = typename By::template Tiles<Value, rows, columns, whole, Job>;
  using Reader = typename Job::Reader;
  using Seen = typename Reader::Seen;

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
    return shape.pad_mode == PadMode::kZero && FitsInt(shape) &&
           Grid(shape).blocks() <= kMaxTiles &&
           Seen::Can(At(shape), shape.channels) &&
           (!whole || (InParts(shape, Reader::OperandA::kPiece) &&
                       Aligned(call.x, call.weights) && WholeOutputs(call))) &&
           By::template Has<Value>();
  }
  static bool WholeOutputs(const Call& call) {
    const Epilogue<Value>& epilogue = call.epilogue;
    return call.shape.num_output / call.shape.group % Job::kOut == 0 &&
           Aligned(call.y, epilogue.scale, epilogue.shift, epilogue.residual,
                   call.scratch);
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return MmaSuits(rows, columns, Grid(shape), shape.num * shape.out_pixels(),
                    shape.num_output / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const ConvShape& shape = call.shape;
    const Problem<int> at = At(shape);
    TapSlices slices(Reader::Slabs(at), ForwardMmaSlices(shape), 1);
    if (!call.scratch) slices.Join();
    const bool one = slices.count == 1;
    const TileGrid grid = Grid(shape, slices.count);
    MakeMmaTiles(
        stream, "Convolve", grid.blocks(),
        Tiles{{grid, at, call.x, call.weights,
               one ? call.epilogue : Epilogue<Value>(), call.y, slices.length,
               one ? nullptr : call.scratch,
               ResultRows<whole>{at.num * at.out_pixels(), at.num_output,
                                 at.outputs, WholeOutputs(call)},
               typename Seen::All(at, at.channels)}});
    JoinIfMany(stream, slices, call);
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_MMA_CUDA_HPP_
