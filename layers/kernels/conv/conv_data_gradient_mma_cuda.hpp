#ifndef P3D_KERNELS_CONV_DATA_GRADIENT_MMA_CUDA_HPP_
#define P3D_KERNELS_CONV_DATA_GRADIENT_MMA_CUDA_HPP_

// ConvDataGradient on tensor cores: `By` says who multiplies, warps or groups
// of them (see mma_tile_cuda.hpp).

#include "kernels/conv/conv_data_gradient_call_cuda.hpp"
#include "kernels/conv/conv_seen_cuda.hpp"
#include "kernels/conv/mma_results_cuda.hpp"
#include "kernels/conv/mma_tile_cuda.hpp"

namespace p3d {
namespace cuda {

template <typename By, typename Value, int rows, int columns, bool whole>
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
  ResultRows<whole> results;

  class Reader {
   public:
    using OperandA = typename By::template Operand<Value, rows, true>;
    using OperandB = typename By::template Operand<Value, columns, false>;
    using Seen = SeenRows<ToOutput, Value, OperandA>;

    P3D_HOST_DEVICE Reader(const DataGradientMmaJob& job, int row, int column,
                           const TilePlace& place, int lane)
        : at_(job.at),
          first_slab_(place.slice * job.slice),
          slabs_(
              static_cast<int>(Smaller(job.slice, Slabs(at_) - first_slab_))),
          along_(at_.outputs, OperandA::First(lane)),
          seen_(at_, row, lane, job.seen, job.dy + place.group * at_.outputs,
                at_.num_output),
          width_(along_.width()),
          output_b_(OperandB::Line(lane)),
          input_(column + OperandB::First(lane)),
          weights_(job.weights + int64_t{place.group} * at_.outputs *
                                     at_.taps() * at_.inputs) {
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
      const int channel = along_.first(),
                left = whole ? OperandA::kPiece : at_.outputs - channel;
      return {seen_.at(i, channel), 0, seen_.sees(i) ? left : 0};
    }
    P3D_HOST_DEVICE Piece<Value> B(int) {
      const bool has = output_b_ < at_.outputs && tap_b_ < at_.taps();
      const Value* row =
          weights_ + int64_t{output_b_ * at_.taps() + tap_b_} * at_.inputs;
      AddB(OperandB::kApart);
      return {row + input_, 0, has ? at_.inputs - input_ : 0};
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
    Seen seen_;
    const int width_;  // outputs, filled up to whole pieces
    int output_b_, tap_b_ = 0;
    const int input_;
    const Value* const weights_;
  };

  typename Reader::Seen::All seen;

  struct OfColumn {
    P3D_HOST_DEVICE OfColumn(const DataGradientMmaJob&, const TilePlace&, int) {
    }
  };

  P3D_HOST_DEVICE bool HasOld() const { return add; }
  P3D_HOST_DEVICE Values<Value, kOut> Old(const TilePlace& place, int row,
                                          int column) const {
    return results.template Get<kOut>(dx, place, row, column);
  }

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const OfColumn&, const Values<float, kOut>& sums,
                             const Values<Value, kOut>& old) const {
    if (!results.Has(row, column)) return;
    if (parts) {
      float* const part = parts + place.slice * results.count();
      return results.Put(sums, place, row, column, part);
    }
    Values<Value, kOut> values;
    P3D_UNROLL
    for (int i = 0; i < kOut; ++i)
      values.v[i] = add ? old.v[i] + sums.v[i] : sums.v[i];
    results.Put(values, place, row, column, dx);
  }
};

template <typename By, typename Value, int rows, int columns, bool whole>
struct DataGradientMma {
  using Call = DataGradientCall<Value>;
  using Job = DataGradientMmaJob<By, Value, rows, columns, whole>;
  using Tiles = typename By::template Tiles<Value, rows, columns, whole, Job>;
  using Reader = typename Job::Reader;
  using Seen = typename Reader::Seen;

  static TileGrid Grid(const ConvShape& shape, int64_t slices = 1) {
    return MmaGrid(rows, columns, shape.num * shape.in_pixels(),
                   shape.channels / shape.group, shape.group, slices);
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    return shape.pad_mode == PadMode::kZero && FitsInt(shape) &&
           Grid(shape).blocks() <= kMaxTiles &&
           Seen::Can(ThreeAxes<int>(shape), shape.num_output) &&
           (!whole ||
            (InParts(shape, Reader::OperandA::kPiece) &&
             Aligned(call.dy, call.weights, call.dx, call.scratch))) &&
           By::template Has<Value>();
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    return MmaSuits(rows, columns, Grid(shape), shape.num * shape.in_pixels(),
                    shape.channels / shape.group);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const ConvShape& shape = call.shape;
    const Problem<int> at = ThreeAxes<int>(shape);
    TapSlices slices(Reader::Slabs(at), DataGradientMmaSlices(shape), 1);
    if (!call.scratch) slices.Join();
    const bool one = slices.count == 1;
    const TileGrid grid = Grid(shape, slices.count);
    MakeMmaTiles(stream, "ConvDataGradient", grid.blocks(),
                 Tiles{{grid, at, call.dy, call.weights, one && call.add,
                        call.dx, slices.length, one ? nullptr : call.scratch,
                        ResultRows<whole>{at.num * at.in_pixels(), at.channels,
                                          at.inputs, whole},
                        typename Seen::All(at, at.num_output)}});
    JoinIfMany(stream, slices, call);
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_DATA_GRADIENT_MMA_CUDA_HPP_
