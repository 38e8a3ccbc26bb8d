#include "kernels/order_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// to[m, b, a] = from[m, a, b] for a < rows and b < columns, in tiles that are
// read along b and written along a, n values at once; rows and columns are
// multiples of n. Tiles are flat where the matrix is.
template <int n, typename From, typename To>
struct Transposition {
  static constexpr int kLanes = kThreads;
  static constexpr int kLogValues = sizeof(From) > 4 ? 11 : 12;  // of a tile
  static constexpr int kLogLeast = 2;  // of values along a side, n or more
  static constexpr int kRuns = (1 << kLogValues) / kLanes / n;  // of a lane

  Transposition(int64_t rows, int64_t columns, const From* from, To* to)
      : rows(rows), columns(columns), from(from), to(to) {
    while (log_width > kLogLeast && int64_t{1} << (log_width - 1) >= columns) {
      --log_width;
    }
    while (log_height() > kLogLeast &&
           int64_t{1} << (log_height() - 1) >= rows) {
      ++log_width;
    }
    across = ((columns - 1) >> log_width) + 1;
    down = ((rows - 1) >> log_height()) + 1;
  }
  P3D_HOST_DEVICE int log_height() const { return kLogValues - log_width; }
  P3D_HOST_DEVICE bool Has(int64_t a, int64_t b) const {
    return a < rows && b < columns;
  }

  struct Shared {
    From values[(1 << kLogValues) * 33 / 32];
  };
  class Lane;

  int64_t rows, columns;
  const From* from;
  To* to;
  int log_width = 6;
  int64_t across, down;  // tiles
};

template <int n, typename From, typename To>
class Transposition<n, From, To>::Lane {
 public:
  P3D_HOST_DEVICE Lane(const Transposition& tiles, int64_t block, int lane)
      : of_(tiles), lane_(lane) {
    const int64_t line = Quotient(block, of_.across);
    const int64_t matrix = Quotient(line, of_.down);
    start_ = matrix * of_.rows * of_.columns;
    a_ = (line - matrix * of_.down) << of_.log_height();
    b_ = (block - line * of_.across) << of_.log_width;
  }
  P3D_HOST_DEVICE int steps() const { return 1; }

  P3D_HOST_DEVICE void Fetch() {
    P3D_UNROLL
    for (int r = 0; r < kRuns; ++r) {
      const int64_t a = a_ + Line(r, of_.log_width);
      const int64_t b = b_ + Column(r, of_.log_width);
      runs_[r] = of_.Has(a, b)
                     ? Each::Read(of_.from + start_ + a * of_.columns + b)
                     : Each::All(From(0));
    }
  }
  P3D_HOST_DEVICE void Put(Shared* shared) const {
    P3D_UNROLL
    for (int r = 0; r < kRuns; ++r) {
      P3D_UNROLL
      for (int k = 0; k < n; ++k)
        shared->values[Spread(Own(r) + k)] = runs_[r][k];
    }
  }
  P3D_HOST_DEVICE void Multiply(const Shared& shared) {
    P3D_UNROLL
    for (int r = 0; r < kRuns; ++r) {
      const int b = Line(r, of_.log_height()), a = Column(r, of_.log_height());
      P3D_UNROLL
      for (int k = 0; k < n; ++k) {
        runs_[r][k] = shared.values[Spread(((a + k) << of_.log_width) + b)];
      }
    }
  }
  P3D_HOST_DEVICE void Store() const {
    P3D_UNROLL
    for (int r = 0; r < kRuns; ++r) {
      const int64_t b = b_ + Line(r, of_.log_height());
      const int64_t a = a_ + Column(r, of_.log_height());
      if (!of_.Has(a, b)) continue;
      Each::Write(runs_[r], of_.to + start_ + b * of_.rows + a);
    }
  }

 private:
  using Each = Runs<n, false>;

  // Where the lane's run r begins in the tile, the line there and the place in
  // that line.
  P3D_HOST_DEVICE int Own(int r) const { return (r * kLanes + lane_) * n; }
  P3D_HOST_DEVICE int Line(int r, int log_length) const {
    return Own(r) >> log_length;
  }
  P3D_HOST_DEVICE int Column(int r, int log_length) const {
    return Own(r) & ((1 << log_length) - 1);
  }
  // A gap behind each line, and between 32 values at least: so neighbours in a
  // column lie in different banks.
  P3D_HOST_DEVICE int Spread(int place) const {
    return place + (place >> (of_.log_width > 5 ? of_.log_width : 5));
  }

  const Transposition& of_;
  int lane_;
  int64_t start_, a_, b_;  // of the tile
  Run<From, n> runs_[kRuns];
};

template <int n, typename From, typename To>
void Transpose(CUstream_st* stream, const char* kernel, int64_t matrices,
               int64_t rows, int64_t columns, const From* from, To* to) {
  const Transposition<n, From, To> tiles(rows, columns, from, to);
  MakeTiles(stream, kernel, matrices * tiles.down * tiles.across, tiles);
}

template <typename From, typename To>
void Transpose(CUstream_st* stream, const char* kernel, int64_t matrices,
               int64_t rows, int64_t columns, const From* from, To* to) {
  constexpr int n = kRunBytes / sizeof(From);
  if (matrices * rows * columns <= 0) return;
  const bool runs = Aligned(from, to) && rows % n == 0 && columns % n == 0;
  (runs ? Transpose<n, From, To> : Transpose<1, From, To>)(stream, kernel,
                                                           matrices, rows,
                                                           columns, from, to);
}

}  // namespace

template <typename Value>
void ToChannelsLast(CUstream_st* stream, const Geometry& g,
                    const RealOf<Value>* from, Value* to) {
  Transpose(stream, "ToChannelsLast", g.num, g.channels, g.pixels, from, to);
}

template <typename Dtype>
void ToCaffeOrder(CUstream_st* stream, const Geometry& g, const Dtype* from,
                  Dtype* to) {
  Transpose(stream, "ToCaffeOrder", g.num, g.pixels, g.channels, from, to);
}

#define P3D_INSTANTIATE(Value)                                \
  template void ToChannelsLast(CUstream_st*, const Geometry&, \
                               const RealOf<Value>*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

template void ToCaffeOrder(CUstream_st*, const Geometry&, const float*, float*);
template void ToCaffeOrder(CUstream_st*, const Geometry&, const double*,
                           double*);

}  // namespace cuda
}  // namespace p3d
