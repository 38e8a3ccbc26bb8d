#ifndef P3D_KERNELS_CONV_WEIGHT_GRADIENT_MMA_CUDA_HPP_
#define P3D_KERNELS_CONV_WEIGHT_GRADIENT_MMA_CUDA_HPP_

// ConvWeightGradient on tensor cores: `By` says who multiplies, warps or groups
// of them (see mma_tile_cuda.hpp).

#include "kernels/conv/conv_weight_gradient_call_cuda.hpp"
#include "kernels/conv/mma_tile_cuda.hpp"

namespace p3d {
namespace cuda {

template <typename By, typename Value, int rows, int columns, bool whole>
struct WeightGradientMmaJob {
  using Out = float;
  TileGrid grid;
  Problem<int> at;
  int slice;  // pixels of one
  PixelSizes sizes;
  Pixel<int> apart;  // what a thread's pieces of b are apart, along the axes
  const Value *dy, *x;
  bool add;
  float* dw;

  class Reader {
   public:
    using OperandA = typename By::template Operand<Value, rows, false>;
    using OperandB = typename By::template Operand<Value, columns, false>;

    P3D_HOST_DEVICE Reader(const WeightGradientMmaJob& job, int row, int column,
                           const TilePlace& place, int lane)
        : job_(job),
          at_(job.at),
          first_(place.slice * job.slice),
          end_(static_cast<int>(
              Smaller(first_ + job.slice, at_.num * at_.out_pixels()))),
          pixel_a_(first_ + OperandA::Line(lane)),
          pixel_b_(first_ + OperandB::Line(lane)),
          p_(pixel_b_, job.sizes),
          output_(row + OperandA::First(lane)),
          first_output_(place.group * at_.outputs),
          column_(at_, column + OperandB::First(lane)),
          first_input_(place.group * at_.inputs) {}

    P3D_HOST_DEVICE int slabs() const {
      return (end_ - first_ + OperandA::kDepth - 1) / OperandA::kDepth;
    }
    P3D_HOST_DEVICE Piece<Value> A(int i) const {
      const int pixel = pixel_a_ + i * OperandA::kApart;
      return {
          job_.dy + int64_t{pixel} * at_.num_output + first_output_ + output_,
          0, pixel < end_ ? at_.outputs - output_ : 0};
    }
    P3D_HOST_DEVICE Piece<Value> B(int) {
      const int l = at_.l.At(p_.l, column_.tap.l),
                h = at_.h.At(p_.h, column_.tap.h);
      const int line = at_.w.in * at_.channels;
      const int place = at_.w.At(p_.w, column_.tap.w) * at_.channels +
                        first_input_ + column_.input;
      const bool seen = pixel_b_ < end_ && column_.tap.l < at_.l.kernel &&
                        at_.l.Has(l) && at_.h.Has(h);
      const int64_t row = (int64_t{p_.n} * at_.l.in + l) * at_.h.in + h;
      const int inputs = at_.inputs - column_.input, left = line - place;
      const int end = inputs < left ? inputs : left;
      pixel_b_ += OperandB::kApart;
      p_.Add(job_.apart, at_.l.out, at_.h.out, at_.w.out);
      return {job_.x + row * line + place, -place, seen ? end : 0};
    }
    P3D_HOST_DEVICE void Next() { pixel_a_ += OperandA::kDepth; }

   private:
    const WeightGradientMmaJob& job_;
    const Problem<int>& at_;
    const int first_, end_;  // pixels of the slice
    int pixel_a_, pixel_b_;  // through all images; p_ is the second taken apart
    Pixel<int> p_;
    const int output_, first_output_;
    const TapColumn<OperandB::kPiece> column_;
    const int first_input_;
  };

  // Whose column it is, and where its weights of the first output are.
  struct OfColumn {
    P3D_HOST_DEVICE OfColumn(const WeightGradientMmaJob& job,
                             const TilePlace& place, int column)
        : column(job.at, column),
          first(job.dw + First(job.at, place) +
                int64_t{this->column.tap.index} * job.at.inputs) {}
    TapColumn<Reader::OperandB::kPiece> column;
    float* first;

   private:
    static P3D_HOST_DEVICE int64_t First(const Problem<int>& at,
                                         const TilePlace& place) {
      const int64_t o =
          int64_t{place.slice} * at.num_output + place.group * at.outputs;
      return o * at.taps() * at.inputs;
    }
  };

  P3D_HOST_DEVICE bool HasOld() const { return false; }
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

template <typename By, typename Value, int rows, int columns, bool whole>
struct WeightGradientMma {
  using Call = WeightGradientCall<Value>;
  using Job = WeightGradientMmaJob<By, Value, rows, columns, whole>;
  using Tiles = typename By::template Tiles<Value, rows, columns, whole, Job>;
  using OperandB = typename Job::Reader::OperandB;

  static Problem<int> At(const ConvShape& shape) {
    const auto at = ThreeAxes<int>(shape);
    return whole ? at : Folded(at);
  }
  static TileGrid Grid(const ConvShape& shape) {
    return MmaGrid(rows, columns, shape.num_output / shape.group,
                   TapColumn<OperandB::kPiece>::Count(At(shape)), shape.group,
                   PixelSlices(shape).count);
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    return FitsInt(shape) && Grid(shape).blocks() <= kMaxTiles &&
           (!whole || (InParts(shape, OperandB::kPiece) &&
                       Aligned(call.dy, call.x, call.scratch, call.dw))) &&
           By::template Has<Value>();
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t outputs = shape.num_output / shape.group;
    return outputs >= 8 && MmaSuits(rows, columns, Grid(shape), outputs,
                                    shape.weight_count() / shape.num_output);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const PixelSlices slices(call.shape);
    const TileGrid grid = Grid(call.shape);
    const Problem<int> at = At(call.shape);
    const PixelSizes sizes(at.l.out, at.h.out, at.w.out);
    const bool one = slices.count == 1;
    MakeMmaTiles(stream, "ConvWeightGradient", grid.blocks(),
                 Tiles{{grid, at, static_cast<int>(slices.length), sizes,
                        Pixel<int>(OperandB::kApart, sizes), call.dy, call.x,
                        one && call.add, one ? call.dw : call.scratch}});
    JoinIfMany(stream, slices, call);
  }
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WEIGHT_GRADIENT_MMA_CUDA_HPP_
