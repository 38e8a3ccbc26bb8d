// ConvDataGradient of floats and doubles.

#include "kernels/conv/conv_data_gradient_call_cuda.hpp"
#include "kernels/conv/conv_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

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
           (!whole || (InFours(shape) &&
                       Aligned(call.dy, call.weights, call.dx, call.scratch)));
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

}  // namespace

template <>
const Candidates<DataGradientCall<float>>& All() {
  return FloatTable<DataGradientTiles>();
}
template <>
const Candidates<DataGradientCall<double>>& All() {
  return DoubleTable<DataGradientTiles>();
}

}  // namespace cuda
}  // namespace p3d
