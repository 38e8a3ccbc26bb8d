// Convolve of floats and doubles.

#include "kernels/conv/conv_call_cuda.hpp"
#include "kernels/conv/conv_tile_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

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
           (!whole || (InFours(shape) &&
                       Aligned(call.x, call.weights, call.y, call.scratch)));
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

}  // namespace

template <>
const Candidates<ForwardCall<float>>& All() {
  return FloatTable<ForwardTiles>();
}
template <>
const Candidates<ForwardCall<double>>& All() {
  return DoubleTable<ForwardTiles>();
}

}  // namespace cuda
}  // namespace p3d
