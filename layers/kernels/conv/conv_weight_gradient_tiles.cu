// ConvWeightGradient of floats and doubles.

#include "kernels/conv/conv_tile_cuda.hpp"
#include "kernels/conv/conv_weight_gradient_call_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

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
    const TapColumn<> column_;
    const int first_input_;
  };

  P3D_HOST_DEVICE void Store(const TilePlace& place, int row, int column,
                             const Four<Dtype>& sums) const {
    const TapColumn<> at_column(at, column);
    if (row >= at.outputs || at_column.tap.l >= at.l.kernel) return;
    const int64_t o =
        int64_t{place.slice} * at.num_output + place.group * at.outputs + row;
    Dtype* to = dw + (o * at.taps() + at_column.tap.index) * at.inputs;
    Write<whole>(sums, add, to, at_column.input, at.inputs);
  }
};

template <typename Dtype, int side, bool whole>
struct WeightGradientTiles {
  using Call = WeightGradientCall<Dtype>;
  using Kernel = Tiles<Dtype, side, WeightGradientJob<Dtype, side, whole>>;

  static TileGrid Grid(const ConvShape& shape) {
    const int64_t columns = TapColumn<>::Count(Folded(ThreeAxes<int>(shape)));
    return {side, shape.num_output / shape.group, columns, shape.group,
            PixelSlices(shape).count};
  }
  static bool Can(const Call& call) {
    const ConvShape& shape = call.shape;
    return FitsInt(shape) && Grid(shape).blocks() <= kMaxTiles &&
           (!whole || (InFours(shape) &&
                       Aligned(call.dy, call.x, call.scratch, call.dw)));
  }
  static bool Suits(const Call& call) {
    const ConvShape& shape = call.shape;
    const int64_t outputs = shape.num_output / shape.group;
    return outputs >= 8 && TilesSuit(side, Grid(shape), outputs,
                                     shape.weight_count() / shape.num_output);
  }
  static void Launch(CUstream_st* stream, const Call& call) {
    const PixelSlices slices(call.shape);
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

}  // namespace

template <>
const Candidates<WeightGradientCall<float>>& All() {
  return FloatTable<WeightGradientTiles>();
}
template <>
const Candidates<WeightGradientCall<double>>& All() {
  return DoubleTable<WeightGradientTiles>();
}

}  // namespace cuda
}  // namespace p3d
